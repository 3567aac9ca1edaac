// The photo and what lies over it, on two canvases that are drawn when there is something new, once a frame at most.

import { drawScene } from "./scene.js";
import { View } from "./view.js";

/** Event "move": the photo lies elsewhere on the stage. */
export class Stage extends EventTarget {
  constructor(element, editor, settings) {
    super();
    Object.assign(this, { element, editor, settings });
    this.view = new View();
    this.hidden = false; // masks, while their key is held
    this.canvases = { photo: element.querySelector("#photo"), overlay: element.querySelector("#overlay") };
    this.stale = { photo: false, overlay: false };
    new ResizeObserver(() => this.resize()).observe(element);
    this.resize();
    this.watchRatio();
  }

  /** Follows the window to a screen of another density, where the stage's size in CSS pixels stays. */
  watchRatio() {
    const there = () => {
      this.resize();
      this.watchRatio();
    };
    matchMedia(`(resolution: ${this.ratio}dppx)`).addEventListener("change", there, { once: true });
  }

  get ratio() {
    return window.devicePixelRatio || 1;
  }

  resize() {
    const { width, height } = this.element.getBoundingClientRect();
    for (const canvas of Object.values(this.canvases)) {
      canvas.width = Math.max(1, Math.round(width * this.ratio));
      canvas.height = Math.max(1, Math.round(height * this.ratio));
    }
    this.view.resize(Math.max(width, 1), Math.max(height, 1));
    this.moved();
    this.draw();
  }

  show(width, height) {
    this.view.show(width, height);
    this.moved();
  }

  fit() {
    this.view.fit();
    this.moved();
  }

  zoom(factor, at) {
    this.view.zoom(factor, at);
    this.moved();
  }

  pan(dx, dy) {
    this.view.pan(dx, dy);
    this.moved();
  }

  moved() {
    this.stale.photo = true;
    this.redraw();
    this.dispatchEvent(new Event("move"));
  }

  hide(hidden) {
    this.hidden = hidden;
    this.redraw();
  }

  /** Draws with the next frame. */
  redraw() {
    if (this.stale.overlay) return;
    this.stale.overlay = true;
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    const { editor, view, ratio, settings } = this;
    if (this.stale.photo) {
      const context = this.canvases.photo.getContext("2d", { alpha: true });
      context.clearRect(0, 0, context.canvas.width, context.canvas.height);
      editor.photo?.draw(context, view, ratio);
    }
    const look = { opacity: settings.opacity, boxes: settings.boxes, hidden: this.hidden };
    drawScene(this.canvases.overlay.getContext("2d"), { editor, view, ratio, look });
    this.stale = { photo: false, overlay: false };
  }

  /** Ends typing elsewhere, so that keys mean the photo again. */
  takeFocus() {
    document.activeElement?.blur();
  }

  /** Where an event happened, in CSS pixels from the stage's corner. */
  at({ clientX, clientY }) {
    const { left, top } = this.element.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }
}
