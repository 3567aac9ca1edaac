// Whether everything is on the server's disk.

import { saved } from "./wire.js";
import { writeText } from "./write.js";

const PAUSE = { pending: 300, silent: 2000 }; // milliseconds

export class Saving {
  constructor(element, steps) {
    Object.assign(this, { element, steps });
    this.asking = false;
    Object.assign(this, { pending: 0, error: null }); // images that are not on the disk, and why, as last heard
    this.silent = null; // the error while the server does not answer
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
      await this.ask();
      this.show();
      const pause = this.silent ? PAUSE.silent : this.pending ? PAUSE.pending : 0;
      if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
    } while ((this.silent || this.pending) && !this.steps.waiting.length);
    this.asking = false;
  }

  async ask() {
    try {
      Object.assign(this, await saved(), { silent: null });
    } catch (error) {
      this.silent = error;
    }
  }

  show() {
    const trouble = this.trouble;
    writeText(this.element, trouble || (this.steps.waiting.length || this.pending ? "Saving …" : "Saved"));
    this.element.dataset.state = trouble ? "trouble" : "calm";
  }

  /** What keeps it from being saved, or "". */
  get trouble() {
    if (this.steps.trouble) return "Not sent";
    if (this.error) return `Not saved: ${this.error}`;
    return this.silent ? "No answer" : "";
  }
}
