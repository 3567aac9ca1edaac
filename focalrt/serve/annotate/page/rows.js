// A set of pixels, never a dense image: of each row, the columns at which it begins and ends, in turn.

const NONE = [];

export const XOR = (a, b) => a !== b;
export const OR = (a, b) => a || b;
export const AND = (a, b) => a && b;
export const MINUS = (a, b) => a && !b;

/** One row out of two: `belongs(inA, inB)` tells whether such a pixel is in it. */
export function combine(a, b, belongs) {
  const row = [];
  let [i, j, inA, inB, inside] = [0, 0, false, false, false];
  while (i < a.length || j < b.length) {
    const x = j >= b.length || (i < a.length && a[i] <= b[j]) ? a[i] : b[j];
    for (; a[i] === x; i++) inA = !inA;
    for (; b[j] === x; j++) inB = !inB;
    if (belongs(inA, inB) !== inside) {
      inside = !inside;
      row.push(x);
    }
  }
  return row;
}

export class Rows {
  constructor() {
    this.rows = new Map();
  }

  /** From runs on the wire: row, start, end, row, start, end, ... */
  static fromRuns(runs) {
    const set = new Rows();
    for (let k = 0; k < runs.length; k += 3) {
      const row = set.rows.get(runs[k]);
      if (row === undefined) set.rows.set(runs[k], [runs[k + 1], runs[k + 2]]);
      else row.push(runs[k + 1], runs[k + 2]);
    }
    return set;
  }

  toRuns() {
    const runs = [];
    for (const y of this.numbers()) {
      const row = this.rows.get(y);
      for (let k = 0; k < row.length; k += 2) runs.push(y, row[k], row[k + 1]);
    }
    return runs;
  }

  /** The numbers of the rows that hold a pixel, in order. */
  numbers() {
    return [...this.rows.keys()].sort((a, b) => a - b);
  }

  at(y) {
    return this.rows.get(y) ?? NONE;
  }

  get empty() {
    return this.rows.size === 0;
  }

  get area() {
    let area = 0;
    for (const row of this.rows.values()) row.forEach((x, k) => (area += k % 2 ? x : -x));
    return area;
  }

  holds(x, y) {
    return this.at(y).filter((edge) => edge <= x).length % 2 === 1;
  }

  equals(other) {
    if (this.rows.size !== other.rows.size) return false;
    return [...this.rows].every(([y, row]) => String(row) === String(other.at(y)));
  }

  /** Changes the rows that `other` has; OR and XOR need no more. */
  merge(other, belongs) {
    for (const [y, theirs] of other.rows) {
      const row = combine(this.at(y), theirs, belongs);
      if (row.length) this.rows.set(y, row);
      else this.rows.delete(y);
    }
  }

  /** A new set of the rows that this one has; AND and MINUS need no more. */
  combined(other, belongs) {
    const set = new Rows();
    for (const [y, ours] of this.rows) {
      const row = combine(ours, other.at(y), belongs);
      if (row.length) set.rows.set(y, row);
    }
    return set;
  }
}
