// The circle around the pointer that shows how wide brush and eraser are.

export class Ring {
  constructor(element, stage, settings) {
    Object.assign(this, { element, stage, settings });
    this.at = null; // where the pointer is on the stage
    const { element: ground } = stage;
    ground.addEventListener("pointermove", (event) => {
      this.follow(event.pointerType === "touch" ? null : stage.at(event));
    });
    ground.addEventListener("pointerleave", () => this.follow(null));
    stage.addEventListener("move", () => this.show());
    settings.addEventListener("change", () => this.show());
  }

  follow(at) {
    this.at = at;
    this.show();
  }

  show() {
    const seen = this.settings.paints && this.at !== null;
    this.element.hidden = !seen;
    if (!seen) return;
    const size = Math.max(this.settings.brush * this.stage.view.scale, 3);
    Object.assign(this.element.style, {
      width: `${size}px`,
      height: `${size}px`,
      transform: `translate(${this.at.x - size / 2}px, ${this.at.y - size / 2}px)`,
    });
  }
}
