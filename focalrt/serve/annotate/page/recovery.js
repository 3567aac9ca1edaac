// What becomes of steps that were not answered as expected: after a reload, a restart of the server, or another tab.

import { Item } from "./item.js";
import { MINUS, OR, Rows } from "./rows.js";
import * as say from "./sentences.js";

const FREE = new Set(["create", "change", "delete", "restore"]); // steps that the state of the mask is nothing to

/** The server has a step's object in another state than the page. Where its pixels are the same, as after a restart of
 * the server, or where the step itself was taken and its answer lost, all goes on; otherwise the other tab comes first.
 */
export async function overtaken(editor, step, object) {
  const { steps } = editor;
  const { item } = step;
  const now = new Item(object);
  const done = Boolean(step.tried) && landed(step, item, now);
  const again = !done && !step.again && item.answered.equals(now.answered);
  if (again) steps.repeat(step);
  else if (!done) steps.drop(item);
  editor.renew(item, object);
  if (done || again) return;
  await editor.reread();
  editor.say(say.anotherTab(item));
}

/** Whether a newer state of an object is what a step made of the older one, as far as one can tell. A server that was
 * started again has the pixels of the older one, and neither clicks nor history.
 */
function landed({ action, body }, before, now) {
  if (action === "click") return String(now.clicks) === String([...before.clicks, [body.x, body.y, body.positive]]);
  if (action === "undo") return now.canRedo;
  if (action !== "paint") return now.canUndo;
  const painted = Rows.fromRuns(before.answered.toRuns());
  painted.merge(Rows.fromRuns(body.runs), body.erase ? MINUS : OR);
  return painted.equals(now.answered);
}

/** Takes up the steps that a reload left unsent of the open image, unless another tab was at work on their object. */
export function resume(editor, { steps, known }) {
  const met = new Map(); // an object's id or key -> its item, in the list or deleted by one of the steps
  const holds = new Map(); // item -> whether its steps still hold
  const gone = new Set(); // ids of objects that are not there any more
  for (const { object, action, body } of steps) {
    const item = met.get(object) ?? meet(editor, object, known[object], { action, body });
    if (!item) {
      if (action !== "delete") gone.add(object);
      continue;
    }
    met.set(object, item);
    const outcome = FREE.has(action) || holds.has(item) ? "waits" : fate({ action, body }, known[object], item);
    if (!FREE.has(action) && !holds.has(item)) holds.set(item, outcome !== "lost");
    if (outcome === "waits" && (holds.get(item) ?? true)) retake(editor, item, action, body);
  }
  editor.steps.keep();
  for (const object of gone) editor.say(say.gone(known[object]));
  for (const [item, holding] of holds) if (!holding) editor.say(say.anotherTab(item));
}

/** The item that a step is about, where no step before it was about the same; undefined where there is none. */
function meet(editor, object, known, { action, body }) {
  const id = editor.image.created[object] ?? object;
  if (action === "create" && id === object) return revive(editor, object, body);
  const item = editor.items.find((other) => other.id === id);
  return item ?? (action === "restore" ? new Item({ id, ...known }) : undefined);
}

/** What became of the first step that was left unsent: it "waits" to be sent, has "landed", or is "lost". */
function fate(step, { revision, clicks, runs }, now) {
  if (now.revision === revision) return "waits";
  const before = { clicks, answered: Rows.fromRuns(runs) };
  if (landed(step, before, now)) return "landed";
  return before.answered.equals(now.answered) ? "waits" : "lost";
}

function retake(editor, item, action, body) {
  const step = { item, action, body };
  if (action === "create" && item.id !== null) return; // it was made, and the answer was lost
  if (action === "delete") editor.remove(item);
  else if (action !== "restore") {
    editor.foresee(step);
    editor.do(item, action, body, step.drawn);
  } else if (!editor.items.includes(item)) editor.restore(item); // or it is back, and the answer was lost
}

function revive(editor, key, body) {
  const item = editor.appear(body);
  item.key = key;
  return item;
}
