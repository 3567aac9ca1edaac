// Whether everything is on the server's disk.

import { saved } from "./wire.js";
import { writeText } from "./write.js";

const PAUSE = 300; // milliseconds

export class Saving {
  constructor(element, steps) {
    Object.assign(this, { element, steps });
    this.asking = false;
    Object.assign(this, { pending: 0, error: null }); // images that are not on the disk, and why
    addEventListener("beforeunload", (event) => {
      if (this.steps.trouble || this.steps.waiting.length > 1) event.preventDefault();
    });
  }

  /** Called after every change of the steps. */
  async follow() {
    this.show();
    if (this.asking || this.steps.waiting.length) return;
    this.asking = true;
    do {
      Object.assign(this, await saved().catch(() => ({ pending: 0, error: null })));
      this.show();
      if (this.pending) await new Promise((resolve) => setTimeout(resolve, PAUSE));
    } while (this.pending && !this.steps.waiting.length);
    this.asking = false;
  }

  show() {
    const { waiting, trouble } = this.steps;
    const behind = waiting.length || this.pending;
    const state = trouble ? "Not sent" : this.error ? `Not saved: ${this.error}` : behind ? "Saving …" : "Saved";
    writeText(this.element, state);
    this.element.dataset.state = trouble || this.error ? "trouble" : "calm";
  }
}
