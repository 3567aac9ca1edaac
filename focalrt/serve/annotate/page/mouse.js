// Mouse and stylus: the left button adds, the right one removes, the wheel zooms, space or the middle button pans.

const LEFT = 0;
const MIDDLE = 1;
const RIGHT = 2;
const ZOOM = { wheel: 0.0015, pinch: 0.01 }; // a trackpad's pinch comes as a wheel with Ctrl
const LINE = 16; // CSS pixels, for wheels that count lines

export class Mouse {
  constructor(stage, actions, settings) {
    Object.assign(this, { stage, actions, settings });
    this.panning = null; // where the pointer was
    this.space = false;
    const { element } = stage;
    const mine = (handle) => (event) => event.pointerType !== "touch" && handle.call(this, event);
    element.addEventListener("pointerdown", mine(this.down));
    element.addEventListener("pointermove", mine(this.move));
    element.addEventListener("pointerup", mine(this.up));
    element.addEventListener("pointercancel", mine(this.cancel));
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("mousedown", (event) => event.preventDefault()); // or a click would frame the whole photo
  }

  /** Whether the space bar is down. */
  hold(space) {
    this.space = space;
    this.stage.element.classList.toggle("grab", space || this.panning !== null);
  }

  down(event) {
    const at = this.stage.at(event);
    this.stage.element.setPointerCapture(event.pointerId);
    this.stage.takeFocus();
    if (event.button === MIDDLE || (this.space && event.button === LEFT)) {
      event.preventDefault();
      this.panning = at;
      this.hold(this.space);
    } else if (event.button === LEFT || event.button === RIGHT) this.act(at, event);
  }

  act(at, event) {
    const away = event.button === RIGHT;
    this.actions.penUp(); // the crosshair's: it does not follow this pointer
    if (event.altKey) this.actions.accept(at);
    else if (this.settings.paints) this.actions.penDown(at, away);
    else this.actions.click(at, away);
  }

  move(event) {
    const at = this.stage.at(event);
    if (this.panning) {
      this.stage.pan(at.x - this.panning.x, at.y - this.panning.y);
      this.panning = at;
    } else if (event.buttons) { // without, it is not this pointer that draws
      for (const part of event.getCoalescedEvents?.() ?? [event]) this.actions.penTo(this.stage.at(part));
    }
  }

  up() {
    if (this.panning) {
      this.panning = null;
      this.hold(this.space);
    } else this.actions.penUp();
  }

  cancel() {
    this.panning = null;
    this.hold(this.space);
    this.actions.penCancel();
  }

  wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode ? LINE : 1);
    this.stage.zoom(Math.exp(-pixels * (event.ctrlKey ? ZOOM.pinch : ZOOM.wheel)), this.stage.at(event));
  }
}
