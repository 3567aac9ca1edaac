// The bars around the photo: tools, history, view, files, theme, and the sheet that holds the lists on a phone.

import { address } from "./wire.js";
import { writeAttribute, writeText } from "./write.js";

const ACCEPTED = "image/png, application/json, .png, .json";
const THEMES = { auto: "light", light: "dark", dark: "auto" }; // what follows what

const element = (selector) => document.querySelector(selector);
const elements = (selector) => [...document.querySelectorAll(selector)];

export class Page {
  constructor({ editor, stage, settings, crosshair, objects, actions }) {
    Object.assign(this, { editor, stage, settings, crosshair, objects, actions });
    this.wireButtons();
    this.wireFiles();
    this.showTheme();
  }

  // ---------------------------------------------------------------- what its controls do

  wireButtons() {
    const { editor, stage, settings } = this;
    const on = (selector, act) => element(selector).addEventListener("click", act);
    for (const button of elements("[data-tool]")) {
      button.addEventListener("click", () => settings.choose(button.dataset.tool));
    }
    on("#undo", () => editor.undo());
    on("#redo", () => editor.redo());
    on("#accept", () => editor.accept());
    on("#previous", () => editor.turn(-1));
    on("#next", () => editor.turn(1));
    on("#new", () => editor.create());
    on("#reset", () => editor.reset());
    on("#zoom-in", () => stage.zoom(1.25));
    on("#zoom-out", () => stage.zoom(0.8));
    on("#fit", () => stage.fit());
    on("#theme", () => this.turnTheme());
    on("#show-help", () => this.help());
    on("#show-lists", () => this.toggleLists());
    element("#stage").addEventListener("pointerdown", () => {
      if (element("#lists").classList.contains("open")) this.toggleLists();
    });
    element("#opacity").addEventListener("input", ({ target }) => settings.set({ opacity: Number(target.value) }));
    element("#size").addEventListener("input", ({ target }) => settings.set({ brush: Number(target.value) }));
    element("#boxes").addEventListener("change", ({ target }) => settings.set({ boxes: target.checked }));
  }

  wireFiles() {
    const field = element("#file");
    field.accept = ACCEPTED;
    element("#import").addEventListener("click", () => field.click());
    field.addEventListener("change", async () => {
      await this.import(field.files);
      field.value = "";
    });
    addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.body.classList.remove("dropping");
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      this.import(event.dataTransfer.files);
    });
    for (const link of elements("#export a")) link.addEventListener("click", (event) => this.export(event, link));
    const close = (target) => {
      if (target && !element("#export").contains(target)) element("#export").open = false;
    };
    document.addEventListener("pointerdown", ({ target }) => close(target));
    document.addEventListener("focusin", ({ target }) => close(target));
  }

  /** All go to the image that is open now, whichever is by the time that their turn comes. */
  async import(files) {
    const { image } = this.editor;
    if (!image) return;
    for (const file of files) await this.editor.import(image, file);
  }

  /** A download holds every step: it waits for those that are still on their way. */
  async export(event, link) {
    element("#export").open = false;
    if (!this.editor.steps.waiting.length) return;
    event.preventDefault();
    await this.editor.steps.idle();
    link.click();
  }

  // ---------------------------------------------------------------- what keys do

  choose(place) {
    const item = this.editor.items[place];
    if (item) this.editor.select(item);
  }

  rename() {
    if (!this.editor.current) return;
    const hidden = element("#show-lists").offsetParent !== null && !element("#lists").classList.contains("open");
    if (hidden) this.toggleLists();
    this.objects.show(); // the row of an object that is new
    this.objects.rename(this.editor.current);
  }

  delete() {
    if (this.editor.current) this.editor.delete(this.editor.current);
  }

  escape() {
    if (this.editor.pen.isDown) this.actions.penCancel();
    else if (element("#export").open) element("#export").open = false;
    else if (element("#lists").classList.contains("open")) this.toggleLists();
    else this.crosshair.hide();
  }

  help() {
    element("#help").showModal();
  }

  toggleLists() {
    const open = element("#lists").classList.toggle("open");
    element("#show-lists").setAttribute("aria-expanded", String(open));
  }

  turnTheme() {
    this.settings.set({ theme: THEMES[this.settings.theme] });
    this.showTheme();
  }

  // ---------------------------------------------------------------- what they show

  show() {
    const { editor, settings } = this;
    const { images } = editor.project;
    writeText(element("#name"), editor.opening ?? editor.image?.name ?? "");
    writeText(element("#count"), editor.image ? `${editor.index + 1} of ${images.length}` : "");
    writeText(element("#model"), editor.project.model);
    document.body.classList.toggle("opening", Boolean(editor.opening));
    element("#stage").dataset.tool = settings.tool;
    for (const button of elements("[data-tool]")) {
      writeAttribute(button, "aria-pressed", String(button.dataset.tool === settings.tool));
    }
    enable("#undo", editor.canUndo);
    enable("#redo", editor.canRedo);
    enable("#reset", Boolean(editor.current?.canUndo));
    enable("#previous", images.length > 1);
    enable("#next", images.length > 1);
    this.showWithheld(editor.current?.withheld.length ?? 0);
    this.showCurrent(editor.current);
    this.showSettings();
    this.showLinks();
  }

  showWithheld(count) {
    enable("#accept", count > 0);
    writeText(element("#accept .badge"), count ? String(count) : "");
    const label = count ? `Accept ${count} withheld changes` : "Accept withheld changes";
    writeAttribute(element("#accept"), "aria-label", label);
  }

  showCurrent(item) {
    const swatch = element("#show-lists .swatch");
    swatch.style.backgroundColor = item?.colour ?? "transparent";
    element("#none").hidden = this.editor.items.length > 0;
  }

  showSettings() {
    const { settings } = this;
    element("#opacity").value = settings.values.opacity;
    writeText(element("#opacity-value"), `${settings.values.opacity} %`);
    element("#size").value = settings.brush;
    writeText(element("#size-value"), `${settings.brush} px`);
    element("#size-row").classList.toggle("idle", !settings.paints);
    element("#boxes").checked = settings.boxes;
  }

  showLinks() {
    const name = this.editor.image?.name;
    if (!name || this.linked === name) return;
    this.linked = name;
    const stem = name.split("/").at(-1).replace(/\.[^.]*$/, "");
    Object.assign(element("#export-mask"), { href: address(name, "mask.png"), download: `${stem}.png` });
    Object.assign(element("#export-coco"), { href: address(name, "coco"), download: `${stem}.json` });
  }

  showZoom() {
    writeText(element("#fit"), `${Math.round(this.stage.view.scale * this.stage.ratio * 100)} %`);
  }

  showTheme() {
    const { theme } = this.settings;
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    element("#theme").dataset.theme = theme;
    writeAttribute(element("#theme"), "aria-label", `Colours of the page: ${theme}`);
    element("#theme").title = `Colours: ${theme}`;
  }
}

/** A control that is off keeps the keyboard's focus: it is not taken out of reach, it says that it is off. */
function enable(selector, on) {
  writeAttribute(element(selector), "aria-disabled", String(!on));
}
