// A set of pixels with its outline, which is made when it is drawn and kept until the pixels change.

import { outline } from "./outline.js";
import { XOR } from "./rows.js";

export class Shape {
  constructor(rows) {
    this.rows = rows;
    this.path = null;
  }

  flip(rows) {
    if (rows.empty) return;
    this.rows.merge(rows, XOR);
    this.path = null;
  }

  /** The outline, as fine as a screen shows on which a pixel of the photo fills `scale` pixels. */
  at(scale) {
    const coarseness = scale < 1 ? 2 ** (1 + Math.floor(-Math.log2(scale))) : 0; // one to two pixels of the screen
    if (this.path === null || this.coarseness !== coarseness) {
      Object.assign(this, { path: outline(this.rows, coarseness), coarseness });
    }
    return this.path;
  }
}
