// What a pointer, a finger or the crosshair does to the place it points at, by the tool that is chosen.

export class Actions {
  constructor(editor, stage, settings) {
    Object.assign(this, { editor, stage, settings });
  }

  /** The place on the photo at a place on the stage, or null beside the photo. */
  place(at) {
    const place = this.stage.view.toPhoto(at);
    return this.editor.image && !this.editor.opening && this.stage.view.onPhoto(place) ? place : null;
  }

  /** away: the tool's contrary, for the right button, a long press and Shift: always takes away. */
  click(at, away = false) {
    const place = this.place(at);
    if (place) this.editor.click(place, !away && this.settings.tool !== "remove", this.stage.view.box);
  }

  /** Writes the withheld region at a place. */
  accept(at) {
    const place = this.place(at);
    const region = place && this.editor.current ? this.editor.current.regionAt(place) : -1;
    if (region >= 0) this.editor.accept(region);
  }

  penDown(at, away = false) {
    const place = this.place(at);
    if (place) this.editor.pen.down(place, this.settings.brush / 2, away || this.settings.tool === "eraser");
  }

  penTo(at) {
    if (this.editor.pen.isDown) this.editor.pen.to(this.stage.view.toPhoto(at));
  }

  penUp() {
    this.editor.pen.up();
  }

  penCancel() {
    this.editor.pen.cancel();
  }
}
