// One object of the image, as the server knows it and with the strokes that the server has not answered yet.

import { Rows, XOR } from "./rows.js";
import { Shape } from "./shape.js";

export class Item {
  /** Of its name, its colour and what else is known of it; one that the server does not know yet has the id null. */
  constructor(description) {
    this.key = `new-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
    this.adopt({
      ...{ id: null, revision: 0, runs: [], withheld: [], clicks: [], area: 0, can_undo: false, can_redo: false },
      ...description,
    });
  }

  /** Takes all that the server tells about the object. */
  adopt(object) {
    this.id = object.id;
    this.name = object.name;
    this.colour = object.colour;
    this.shape = new Shape(Rows.fromRuns(object.runs));
    this.answered = Rows.fromRuns(object.runs); // the mask without the strokes that the server has not answered
    if (object.revision !== this.revision) this.boxes = {}; // target and focus box of the last click
    this.take(object);
  }

  /** Takes what a step changed. */
  change(change) {
    const changed = Rows.fromRuns(change.changed);
    this.flip(changed);
    this.answered.merge(changed, XOR);
    this.boxes = { target: change.target, focus: change.focus };
    this.take(change);
  }

  take({ revision, withheld, clicks, can_undo: canUndo, can_redo: canRedo, area }) {
    Object.assign(this, { revision, clicks, canUndo, canRedo, area });
    this.withheld = withheld.map((runs) => new Shape(Rows.fromRuns(runs)));
  }

  /** What the server answered last, by which a page that is loaded again tells whether the object is still the same;
   * an object that is to be restored is shown by it. */
  get known() {
    const { name, colour, revision, clicks } = this;
    return { name, colour, revision, clicks, runs: this.answered.toRuns() };
  }

  get mask() {
    return this.shape.rows;
  }

  /** Inverts pixels; the same again takes that back. */
  flip(rows) {
    this.shape.flip(rows);
  }

  /** The index of the withheld region at a place on the photo, or -1. */
  regionAt(place) {
    return this.withheld.findIndex(({ rows }) => rows.holds(Math.floor(place.x), Math.floor(place.y)));
  }
}
