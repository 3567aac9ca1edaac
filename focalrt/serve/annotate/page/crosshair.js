// The crosshair: a place on the photo that the arrow keys move, for clicks and strokes without a pointer.

const STEP = 12; // CSS pixels
const EDGE = 48; // the photo moves before the crosshair comes closer to the stage's edge, in CSS pixels

export class Crosshair {
  constructor(element, stage, actions, settings) {
    Object.assign(this, { element, stage, actions, settings });
    this.spot = null; // on the photo; null until it is used
    stage.addEventListener("move", () => this.show());
  }

  /** Where it is on the stage; it begins in the middle of what is seen. */
  get at() {
    this.spot ??= this.stage.view.toPhoto(this.stage.view.middle);
    return this.stage.view.toStage(this.spot);
  }

  /** dx, dy: -1, 0 or 1. fine: by one pixel of the photo. */
  move(dx, dy, fine) {
    const { view } = this.stage;
    const { x, y } = view.toPhoto(this.at);
    const step = fine ? 1 : STEP / view.scale;
    this.spot = {
      x: Math.min(Math.max(x + dx * step, 0.5), view.width - 0.5),
      y: Math.min(Math.max(y + dy * step, 0.5), view.height - 0.5),
    };
    this.follow();
    this.show();
    this.actions.penTo(this.at);
  }

  follow() {
    const { width, height } = this.stage.view.stage;
    const { x, y } = this.at;
    const beyond = (value, size) => Math.min(value - EDGE, 0) + Math.max(value - size + EDGE, 0);
    const [dx, dy] = [beyond(x, width), beyond(y, height)];
    const { box } = this.stage.view;
    if (box && (dx || dy)) this.stage.pan(-dx, -dy);
  }

  /** What Enter does: a click, or the pen down and up. */
  act(away) {
    this.show();
    if (!this.settings.paints) this.actions.click(this.at, away);
    else if (this.actions.editor.pen.isDown) this.actions.penUp();
    else this.actions.penDown(this.at, away);
  }

  accept() {
    this.actions.accept(this.at);
  }

  show() {
    this.element.hidden = this.spot === null;
    if (this.spot === null) return;
    const { x, y } = this.at;
    this.element.style.transform = `translate(${x}px, ${y}px)`;
  }

  hide() {
    this.spot = null;
    this.element.hidden = true;
  }
}
