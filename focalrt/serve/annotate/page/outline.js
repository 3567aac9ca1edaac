// The outline of a set of pixels as a path of straight lines along their edges, sharp at any zoom.

import { combine, XOR } from "./rows.js";

/** A Path2D in pixels of the photo, measured from its corner; fill it with the rule "evenodd".
 *
 * coarseness: corners closer than this to the one before, in pixels of the photo, are left out; 0 keeps every one.
 */
export function outline(rows, coarseness = 0) {
  const { xs, ys, across, along } = corners(rows);
  const path = new Path2D();
  const seen = new Uint8Array(xs.length);
  for (let first = 0; first < xs.length; first++) {
    if (seen[first]) continue;
    let [x, y] = [xs[first], ys[first]];
    path.moveTo(x, y);
    const on = (corner) => {
      seen[corner] = 1;
      if (Math.abs(xs[corner] - x) + Math.abs(ys[corner] - y) < coarseness) return;
      [x, y] = [xs[corner], ys[corner]];
      path.lineTo(x, y);
    };
    for (let corner = first; !seen[corner]; corner = along[across[corner]]) {
      on(corner);
      on(across[corner]);
    }
    path.closePath();
  }
  return path;
}

/** Every corner, with its partners along the horizontal and the vertical line that end in it.
 *
 * Where two neighbouring rows differ, horizontal lines run; their ends, taken in twos down each column, are joined by
 * vertical lines. Lines that cross go straight on.
 */
function corners(rows) {
  const [xs, ys, across, along] = [[], [], [], []];
  const above = new Map();
  const line = (y) => {
    const ends = combine(rows.at(y - 1), rows.at(y), XOR);
    ends.forEach((x, k) => {
      const corner = xs.push(x) - 1;
      ys.push(y);
      across.push(k % 2 ? corner - 1 : corner + 1);
      const partner = above.get(x);
      if (partner === undefined) above.set(x, corner);
      else {
        above.delete(x);
        along[corner] = partner;
        along[partner] = corner;
      }
    });
  };
  for (const y of rows.numbers()) {
    line(y);
    if (!rows.rows.has(y + 1)) line(y + 1);
  }
  return { xs, ys, across, along };
}
