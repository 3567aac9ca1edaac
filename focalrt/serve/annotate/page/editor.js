// The open image, its objects, and everything that can be done to them.

import { Item } from "./item.js";
import { freshColour } from "./palette.js";
import { Pen } from "./pen.js";
import { Photo } from "./photo.js";
import { overtaken, resume } from "./recovery.js";
import { AND, MINUS, Rows } from "./rows.js";
import * as say from "./sentences.js";
import { Steps } from "./steps.js";
import * as wire from "./wire.js";

const SEND = {
  create: ({ image, item: { key }, body }) => wire.createObject(image, { key, ...body }),
  change: ({ image, item, body }) => wire.changeObject(image, item.id, body),
  delete: ({ image, item }) => wire.deleteObject(image, item.id),
  restore: bringBack,
};

/** Restores an object. One whose restoration was asked for before may be there already: only the answer was lost. */
async function bringBack({ image, item: { id }, tried }) {
  try {
    return await wire.takeStep(image, id, "restore", {});
  } catch (error) {
    if (!tried || error.status !== 404) throw error;
    const { objects } = await wire.open(image);
    const there = objects.find((object) => object.id === id);
    if (!there) throw error;
    return there;
  }
}

/** A promise of the server's answer to a step. */
function send(step) {
  const { image, item, action, body } = step;
  if (action in SEND) return SEND[action](step);
  return wire.takeStep(image, item.id, action, { revision: item.revision, ...body });
}

/** What there is to say of a step that found no history, as after a restart of the server; undefined for any other. */
function lacking(action, item) {
  if (action === "undo" && !item.canUndo) return say.nothingToUndo;
  if (action === "redo" && !item.canRedo) return say.nothingToRedo;
}

/** Events: "change" (something to show), "steps" (more or less to send), "say" (detail: a sentence), "photo" (another
 * photo is open), "answer" (detail: { action, since, milliseconds } of a step). */
export class Editor extends EventTarget {
  constructor() {
    super();
    this.project = { folder: "", images: [], model: "", models: [] };
    this.image = null; // as the server tells it: { name, width, height, ... }
    this.photo = null;
    this.items = [];
    this.current = null;
    this.pen = new Pen(this);
    this.deleted = []; // items whose deletions were the last things done
    this.asked = null; // the name of the image that was asked for last, whether it opened or not
    this.steps = new Steps({
      send,
      answered: (step, answer) => this.answered(step, answer),
      refused: (step, error) => this.refused(step, error),
      changed: () => {
        this.dispatchEvent(new Event("steps"));
        this.changed();
      },
    });
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  say(sentence) {
    this.dispatchEvent(new CustomEvent("say", { detail: sentence }));
  }

  // ---------------------------------------------------------------- images

  /** The project, and the image to begin with: the one asked for or the first; only those with unsent steps, if any. */
  async start(asked) {
    this.project = await wire.project();
    const { folder, images } = this.project;
    const names = images.map(({ name }) => name);
    const unsent = names.filter((image) => Steps.kept({ folder, image }));
    if (!names.length) return this.say(say.noImages(folder));
    const eligible = unsent.length ? unsent : names;
    await this.open(eligible.includes(asked) ? asked : eligible[0]);
  }

  /** An image as the project lists it. */
  listed(name) {
    return this.project.images.find((image) => image.name === name);
  }

  get index() {
    return this.project.images.findIndex(({ name }) => name === this.image?.name);
  }

  /** Goes that many images on, around the ends. */
  async turn(by) {
    const { images } = this.project;
    if (images.length < 2) return;
    const place = images.findIndex(({ name }) => name === this.asked);
    await this.open(images[(place + by + images.length) % images.length].name);
  }

  /** Opens an image; of those that are asked for while one opens, the last is next. */
  async open(name) {
    if (this.steps.trouble) return;
    this.asked = name;
    if (this.opening) return;
    this.pen.up();
    do {
      this.opening = this.asked;
      this.changed();
      await this.load(this.opening);
    } while (this.opening !== this.asked);
    this.opening = null;
    this.changed();
  }

  /** Shows an image, and takes up what a reload left unsent of it. */
  async load(name) {
    const listed = this.listed(name);
    try {
      await this.steps.idle();
      const [opened, photo] = await Promise.all([wire.open(name), Photo.load(name)]);
      const alike = photo.width === opened.width && photo.height === opened.height;
      if (!alike) throw new Error(say.sizesDiffer(opened, photo));
      delete listed.error;
      await this.steps.idle(); // keys did things to the image that was open while this one came
      this.show(opened, photo);
      const unsent = Steps.kept(this.steps.place);
      if (unsent) resume(this, unsent);
    } catch (error) {
      if (!(error instanceof wire.Unreachable)) listed.error = error.message;
      this.say(say.trouble(error.message));
    }
  }

  show(opened, photo) {
    this.photo?.close();
    Object.assign(this, { photo, image: opened, items: [], current: null, deleted: [] });
    this.steps.place = { folder: this.project.folder, image: opened.name };
    this.adopt(opened);
    this.current = this.items[0] ?? null;
    this.dispatchEvent(new Event("photo"));
    this.tell(opened.notices);
  }

  /** What the server has to say of an image. */
  tell(notices) {
    if (notices?.length) this.say(say.trouble(notices.join(" ")));
  }

  /** Takes the objects as the server lists them for the open image; those that the page knows stay the same items.
   *
   * The list knows nothing of the steps that wait: what they create or restore stays, what they delete stays away.
   */
  adopt({ name, objects }) {
    if (name !== this.image?.name) return;
    const known = [...this.items, ...this.steps.waiting.map(({ item }) => item)];
    const listed = objects.map((object) => {
      const item = known.find(({ id }) => id === object.id);
      if (!item) return new Item(object);
      this.renew(item, object);
      return item;
    });
    const items = listed.filter((item) => this.steps.fate(item) !== "delete");
    const coming = this.items.filter((item) => item.id === null || this.steps.fate(item) === "restore");
    this.items = [...new Set([...items, ...coming])];
    if (!this.items.includes(this.current)) this.current = this.items.at(-1) ?? null;
    this.listed(name).objects = this.items.length;
  }

  /** Takes an object as the server tells it, and shows on it what the server has not answered yet. */
  renew(item, object) {
    item.adopt(object);
    this.steps.of(item).forEach((step) => this.foresee(step));
    this.pen.redraw(item);
  }

  /** Asks the server again: another tab, or another program, may have been at work. */
  async refresh() {
    if (!this.image || this.opening || this.steps.running) return;
    const { image, steps: { count } } = this;
    const opened = await wire.open(image.name).catch(() => null);
    if (!opened || this.image !== image || this.opening || this.steps.count !== count) return; // overtaken
    if (opened.photo !== image.photo) return this.open(image.name); // the photo is another
    this.image = opened;
    this.adopt(opened);
    if (String(opened.notices) !== String(image.notices)) this.tell(opened.notices);
    this.changed();
  }

  /** Adds the objects of a file to an image that is or was open, between two steps, so that answers come in order. */
  async import(image, file) {
    try {
      await this.steps.between(() => this.upload(image, file));
    } catch (error) {
      this.say(say.trouble(error.message));
    }
  }

  async upload({ name }, file) {
    const listed = this.listed(name);
    const before = listed.objects;
    const { objects, notices } = await wire.importFile(name, file);
    listed.objects = objects.length;
    this.adopt({ name, objects });
    if (name === this.image.name) this.select(this.items.find(({ id }) => id === objects[before]?.id) ?? this.current);
    this.say(say.imported(file.name, objects.length - before, name));
    this.tell(notices);
  }

  // ---------------------------------------------------------------- objects

  select(item) {
    this.current = item;
    this.changed();
  }

  create() {
    if (!this.image) return null;
    const numbers = this.items.map(({ name }) => Number(/^Object (\d+)$/.exec(name)?.[1] ?? 0));
    const name = `Object ${Math.max(0, ...numbers) + 1}`;
    const item = this.appear({ name, colour: freshColour(this.items.map(({ colour }) => colour)) });
    this.do(item, "create", { name, colour: item.colour });
    return item;
  }

  /** An object that the server does not know yet. */
  appear(description) {
    const item = new Item(description);
    this.items.push(item);
    this.select(item);
    return item;
  }

  rename(item, name) {
    const tidy = name.trim();
    if (!tidy || tidy === item.name) return this.changed();
    item.name = tidy;
    this.do(item, "change", { name: tidy });
  }

  recolour(item, colour) {
    item.colour = colour;
    this.do(item, "change", { colour });
  }

  delete(item) {
    this.remove(item);
    const holds = () => this.deleted.includes(item);
    this.say(say.deleted(item, { holds, act: () => this.restore(item) }));
  }

  remove(item) {
    this.unlist(item);
    this.do(item, "delete");
    this.deleted.push(item);
  }

  restore(item) {
    this.deleted = this.deleted.filter((other) => other !== item);
    this.items.push(item);
    this.select(item);
    this.do(item, "restore");
  }

  /** Takes an object out of the list, and drops the stroke that is being drawn on it. */
  unlist(item) {
    if (this.pen.item === item) this.pen.cancel();
    this.items = this.items.filter((other) => other !== item);
    if (this.current === item) this.current = this.items.at(-1) ?? null;
  }

  // ---------------------------------------------------------------- steps

  /** A click at a place on the photo, measured from its corner. view: the box of its pixels on the screen, or null. */
  click(place, positive, view) {
    const item = this.current ?? this.create();
    if (item) this.do(item, "click", { x: place.x - 0.5, y: place.y - 0.5, positive, view });
  }

  /** Strokes show at once: `stroke` is flipped in the item's mask where it changes it. Returns those pixels. */
  draw(item, stroke, erase) {
    const change = erase ? stroke.combined(item.mask, AND) : stroke.combined(item.mask, MINUS);
    item.flip(change);
    this.changed();
    return change;
  }

  paint(item, stroke, erase, drawn) {
    if (stroke.empty) return;
    this.do(item, "paint", { runs: stroke.toRuns(), erase }, drawn);
  }

  /** Writes one withheld region of the current object, or all of them (null). */
  accept(region = null) {
    if (!this.current?.withheld.length) return this.say(say.nothingWithheld);
    this.do(this.current, "accept", { region });
  }

  undo() {
    const item = this.deleted.at(-1);
    if (item) this.restore(item);
    else if (this.canUndo) this.do(this.current, "undo");
    else this.say(say.nothingToUndo);
  }

  redo() {
    if (this.canRedo) this.do(this.current, "redo");
    else this.say(say.nothingToRedo);
  }

  reset() {
    if (this.current?.canUndo) this.do(this.current, "reset");
  }

  get canUndo() {
    return Boolean(this.deleted.length || (this.current && (this.current.canUndo || this.steps.of(this.current).length)));
  }

  get canRedo() {
    if (!this.current) return false;
    return this.current.canRedo || this.steps.of(this.current).some(({ action }) => action === "undo");
  }

  /** Clicks of the current object that the server has not answered: [x, y, positive]. */
  get unanswered() {
    const clicks = this.current ? this.steps.of(this.current).filter(({ action }) => action === "click") : [];
    return clicks.map(({ body }) => [body.x, body.y, body.positive]);
  }

  // ---------------------------------------------------------------- to the server and back

  do(item, action, body, drawn) {
    if (action !== "delete" && action !== "restore") this.deleted = [];
    this.steps.add({ image: this.image.name, item, action, body, drawn, since: performance.now() });
  }

  /** Shows what a step will do before the server has said so, where that is known. */
  foresee(step) {
    const { item, action, body } = step;
    if (action === "paint") step.drawn = this.draw(item, Rows.fromRuns(body.runs), body.erase);
    if (action === "change") Object.assign(item, body);
  }

  async answered({ item, action, drawn, since }, answer) {
    if (drawn) item.flip(drawn);
    if (action === "create" || action === "restore") this.renew(item, answer);
    else if (action !== "change" && action !== "delete") {
      const outcome = lacking(action, item) ?? say.outcome(action, answer, item);
      item.change(answer);
      this.say(outcome);
      this.dispatchEvent(new CustomEvent("answer", { detail: { action, since, milliseconds: answer.milliseconds } }));
      const settled = !this.steps.of(item).length && this.pen.item !== item;
      if (settled && item.mask.area !== answer.area) await this.reread();
    }
    this.project.images[this.index].objects = this.items.length;
  }

  async refused(step, error) {
    const { item } = step;
    if (error.status === 409 && error.object) return overtaken(this, step, error.object);
    const gone = error.status === 404;
    if (gone && step.action === "delete") return;
    if (gone || step.action === "create") this.forget(item);
    await this.reread();
    this.say(gone ? say.gone(item) : say.trouble(error.message));
  }

  /** Shows what the server has, whatever was shown before. */
  async reread() {
    const opened = await wire.open(this.image.name).catch(() => null);
    if (opened) this.adopt(opened);
  }

  forget(item) {
    this.steps.drop(item);
    this.unlist(item);
  }
}
