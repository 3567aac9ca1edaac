// What the annotator did and the server has not answered yet: sent one after the other, kept until answered.

import { Refused, Unreachable } from "./wire.js";

const PAUSES = [500, 1000, 2000, 4000]; // milliseconds between attempts

/** Where the steps of an image are kept. */
const keyOf = ({ folder, image }) => `focalrt unsent steps ${JSON.stringify([folder, image])}`;

/** A step is { image, item, action, body }; `tried` counts attempts without an answer, `again` says it was repeated. */
export class Steps {
  /** send(step): a promise of the answer. answered(step, answer), refused(step, error): awaited. changed(): called
   * whenever there is more or less to send, or the server went silent or came back. */
  constructor({ send, answered, refused, changed }) {
    Object.assign(this, { send, answered, refused, changed });
    this.waiting = [];
    this.count = 0; // of all steps, and of what came between them, so far
    this.trouble = null; // the Unreachable error while the server is silent
    this.place = null; // { folder, image } that the steps belong to
    this.running = null; // a promise while something is on its way
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

  /** What of an object will come last: "delete" or "restore"; undefined if neither waits. */
  fate(item) {
    return this.of(item).findLast(({ action }) => action === "delete" || action === "restore")?.action;
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
    while (this.running) await this.running;
  }

  /** Does what must not meet a step on its way: those that wait come before it, those that are added meanwhile after
   * it. Settles as `act` does. */
  async between(act) {
    while (this.running) await this.running; // not `idle`, after which another may be first
    this.count++;
    const acted = act();
    this.running = acted.catch(() => null).then(() => this.run());
    return acted;
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
    const key = keyOf(this.place);
    if (!this.waiting.length) return sessionStorage.removeItem(key);
    const nameOf = ({ id, key }) => id ?? key;
    const steps = this.waiting.map(({ item, action, body }) => ({ object: nameOf(item), action, body }));
    const known = Object.fromEntries(this.waiting.map(({ item }) => [nameOf(item), item.known]));
    try {
      sessionStorage.setItem(key, JSON.stringify({ steps, known }));
    } catch {
      // Storage is full: the steps live on in this page, which asks before it is closed.
    }
  }

  /** What a reload left unsent of an image: { steps, known }, or null; known: of each object, `Item.known`. */
  static kept(place) {
    return JSON.parse(sessionStorage.getItem(keyOf(place)));
  }
}
