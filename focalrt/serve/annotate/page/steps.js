// What the annotator did and the server has not answered yet: sent one after the other, kept until answered.

import { Refused, Unreachable } from "./wire.js";

const KEPT = "focalrt unsent steps";
const PAUSES = [500, 1000, 2000, 4000]; // milliseconds between attempts

/** A step is { image, item, action, body }; `tried` counts attempts without an answer, `again` says it was repeated. */
export class Steps {
  /** send(step): a promise of the answer. answered(step, answer), refused(step, error): awaited. changed(): called
   * whenever there is more or less to send, or the server went silent or came back. */
  constructor({ send, answered, refused, changed }) {
    Object.assign(this, { send, answered, refused, changed });
    this.waiting = [];
    this.count = 0; // of all steps so far
    this.trouble = null; // the Unreachable error while the server is silent
    this.place = null; // { folder, image } that the steps belong to
    this.running = null;
  }

  add(step) {
    this.waiting.push(step);
    this.count++;
    this.keep();
    this.changed();
    this.running ??= this.run();
  }

  of(item) {
    return this.waiting.filter((step) => step.item === item);
  }

  /** Sends a step that was refused once more, before those that came after it. */
  repeat(step) {
    this.waiting.unshift(Object.assign(step, { again: true }));
  }

  drop(item) {
    this.waiting = this.waiting.filter((step) => step.item !== item);
  }

  /** Resolves once everything is answered. */
  async idle() {
    await this.running;
  }

  async run() {
    while (this.waiting.length) await this.attempt(this.waiting[0]);
    this.running = null;
    this.changed();
  }

  async attempt(step) {
    let settle;
    try {
      const answer = await this.send(step);
      settle = () => this.answered(step, answer);
    } catch (error) {
      if (error instanceof Unreachable) return this.pause(step, error);
      if (!(error instanceof Refused)) throw error;
      settle = () => this.refused(step, error);
    }
    this.trouble = null;
    this.waiting = this.waiting.filter((other) => other !== step);
    await settle();
    this.keep();
    this.changed();
  }

  async pause(step, error) {
    step.tried = (step.tried ?? 0) + 1;
    this.trouble = error;
    this.keep();
    this.changed();
    await new Promise((resolve) => setTimeout(resolve, PAUSES[Math.min(step.tried, PAUSES.length) - 1]));
  }

  /** Writes the steps where a reload of this tab finds them. */
  keep() {
    if (!this.waiting.length) return sessionStorage.removeItem(KEPT);
    const nameOf = ({ id, key }) => id ?? key;
    const steps = this.waiting.map(({ item, action, body }) => ({ object: nameOf(item), action, body }));
    const known = Object.fromEntries(this.waiting.map(({ item }) => [nameOf(item), item.known]));
    try {
      sessionStorage.setItem(KEPT, JSON.stringify({ ...this.place, steps, known }));
    } catch {
      // Storage is full: the steps live on in this page, which asks before it is closed.
    }
  }

  /** What a reload left unsent in this folder: { image, steps, known }, or null; known: of each object, `Item.known`. */
  static kept(folder) {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    return kept?.folder === folder ? kept : null;
  }
}
