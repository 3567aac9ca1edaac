// The stroke in progress, drawn by the pointer or by the crosshair: shown at once, sent as one step when it ends.

import { XOR, Rows } from "./rows.js";
import { Stroke } from "./stroke.js";

export class Pen {
  constructor(editor) {
    this.editor = editor;
    this.item = null; // that it draws on; null while it is up
  }

  get isDown() {
    return this.item !== null;
  }

  /** Begins a stroke; one in progress ends. radius: in pixels of the photo. */
  down(place, radius, erase) {
    this.up();
    const { width, height } = this.editor.image;
    this.item = this.editor.current ?? this.editor.create();
    Object.assign(this, { stroke: new Stroke(radius, width, height), drawn: new Rows(), erase });
    this.to(place);
  }

  to(place) {
    this.drawn.merge(this.editor.draw(this.item, this.stroke.to(place), this.erase), XOR);
  }

  up() {
    if (!this.isDown) return;
    const { item, stroke, erase, drawn } = this;
    this.item = null;
    this.editor.paint(item, stroke.rows, erase, drawn);
  }

  cancel() {
    if (!this.isDown) return;
    this.item.flip(this.drawn);
    this.item = null;
    this.editor.changed();
  }

  /** Draws the stroke so far again, on a mask that was replaced. */
  redraw(item) {
    if (this.item === item) this.drawn = this.editor.draw(item, this.stroke.rows, this.erase);
  }
}
