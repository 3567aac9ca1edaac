// Fingers: a tap does what the tool does, a long press removes, one finger pans or paints, two zoom and pan.

const LONG = 500; // milliseconds
const STILL = 8; // CSS pixels that a tap may wander

export class Touch {
  constructor(stage, actions, settings) {
    Object.assign(this, { stage, actions, settings });
    this.fingers = new Map(); // pointerId -> where it is
    this.start = null; // where the first finger came down, while it may become a tap
    this.timer = null;
    const { element } = stage;
    const mine = (handle) => (event) => event.pointerType === "touch" && handle.call(this, event);
    element.addEventListener("pointerdown", mine(this.down));
    element.addEventListener("pointermove", mine(this.move));
    element.addEventListener("pointerup", mine(this.up));
    element.addEventListener("pointercancel", mine(this.cancel));
  }

  down(event) {
    event.preventDefault();
    this.stage.takeFocus();
    this.fingers.set(event.pointerId, this.stage.at(event));
    if (this.fingers.size === 1) this.begin(this.stage.at(event));
    else this.neverTap();
  }

  begin(at) {
    this.actions.penUp(); // the crosshair's: it does not follow this finger
    this.start = at;
    this.timer = setTimeout(() => this.press(), LONG);
  }

  press() {
    if (this.settings.paints) return; // a finger may rest before its stroke
    const at = this.start;
    this.neverTap();
    navigator.vibrate?.(10);
    this.actions.click(at, true);
  }

  /** More than one finger, or a finger that moves: no tap any more, and no stroke by the first of two. */
  neverTap() {
    clearTimeout(this.timer);
    this.start = null;
    if (this.fingers.size > 1) this.actions.penCancel();
  }

  move(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const at = this.stage.at(event);
    if (this.start && Math.hypot(at.x - this.start.x, at.y - this.start.y) < STILL) return;
    if (this.start) this.drag();
    const old = this.spread();
    this.fingers.set(event.pointerId, at);
    if (this.fingers.size > 1) this.pinch(old, this.spread());
    else if (this.settings.paints) this.actions.penTo(at);
    else this.stage.pan(at.x - before.x, at.y - before.y);
  }

  drag() {
    const { start } = this;
    this.neverTap();
    if (this.settings.paints) this.actions.penDown(start);
  }

  /** Middle and distance of the first two fingers. */
  spread() {
    const [a, b = a] = this.fingers.values();
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, distance: Math.hypot(a.x - b.x, a.y - b.y) };
  }

  pinch(old, now) {
    this.stage.pan(now.x - old.x, now.y - old.y);
    if (old.distance > 0 && now.distance > 0) this.stage.zoom(now.distance / old.distance, now);
  }

  up(event) {
    const tap = this.start;
    clearTimeout(this.timer);
    this.start = null;
    this.fingers.delete(event.pointerId);
    if (tap && this.settings.paints) this.actions.penDown(tap);
    else if (tap) this.actions.click(tap);
    this.actions.penUp();
  }

  cancel(event) {
    this.fingers.delete(event.pointerId);
    this.neverTap();
    this.actions.penCancel();
  }
}
