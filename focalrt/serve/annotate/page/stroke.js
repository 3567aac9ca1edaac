// A stroke of brush or eraser: the pixels whose centres lie within the radius of the line that the pointer drew.

import { MINUS, OR, Rows } from "./rows.js";

export class Stroke {
  /** radius: in pixels of the photo. width, height: of the photo. */
  constructor(radius, width, height) {
    this.radius = Math.max(radius, 0.5);
    this.bounds = { width, height };
    this.rows = new Rows();
    this.end = null;
  }

  /** Draws on to a place, measured from the photo's corner; returns the pixels that this adds. */
  to(place) {
    const swept = this.sweep(this.end ?? place, place);
    const fresh = swept.combined(this.rows, MINUS);
    this.rows.merge(fresh, OR);
    this.end = place;
    return fresh;
  }

  /** A line with round ends: in each row, the hull of what both end disks and the straight part cover. */
  sweep(a, b) {
    const set = new Rows();
    const first = Math.max(Math.floor(Math.min(a.y, b.y) - this.radius), 0);
    const last = Math.min(Math.ceil(Math.max(a.y, b.y) + this.radius), this.bounds.height - 1);
    for (let row = first; row <= last; row++) {
      const [left, right] = this.reach(a, b, row + 0.5);
      const start = Math.max(Math.ceil(left - 0.5), 0);
      const end = Math.min(Math.floor(right - 0.5) + 1, this.bounds.width);
      if (start < end) set.rows.set(row, [start, end]);
    }
    return set;
  }

  /** The least and the greatest x that the line covers at height y; Infinity and -Infinity for none. */
  reach(a, b, y) {
    let [left, right] = [Infinity, -Infinity];
    const take = (x, half) => {
      left = Math.min(left, x - half);
      right = Math.max(right, x + half);
    };
    for (const disk of [a, b]) {
      const square = this.radius ** 2 - (y - disk.y) ** 2;
      if (square >= 0) take(disk.x, Math.sqrt(square));
    }
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const length = Math.hypot(dx, dy);
    if (length > 0) {
      const [nx, ny] = [(-dy / length) * this.radius, (dx / length) * this.radius];
      for (const side of [-1, 1]) {
        const along = (y - a.y - side * ny) / dy;
        if (along >= 0 && along <= 1) take(a.x + along * dx + side * nx, 0);
      }
    }
    return [left, right];
  }
}
