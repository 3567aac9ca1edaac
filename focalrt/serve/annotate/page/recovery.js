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
  now.adopt(object);
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

/** Takes up the steps that a reload left unsent, unless another tab was at work on their object. */
export function resume(editor, { steps, known }) {
  const holds = new Map(); // item -> whether its steps still hold
  for (const { object, action, body } of steps) {
    const item = action === "create" ? revive(editor, object, body) : find(editor.items, object);
    if (!item) continue;
    const outcome = FREE.has(action) || holds.has(item) ? "waits" : fate({ action, body }, known[object], item);
    if (!FREE.has(action) && !holds.has(item)) holds.set(item, outcome !== "lost");
    if (outcome === "waits" && (holds.get(item) ?? true)) retake(editor, item, action, body);
  }
  for (const [item, holding] of holds) if (!holding) editor.say(say.anotherTab(item));
}

/** What became of the first step that was left unsent: it "waits" to be sent, has "landed", or is "lost". */
function fate(step, { revision, clicks, runs }, now) {
  if (now.revision === revision) return "waits";
  const before = { clicks, answered: Rows.fromRuns(runs) };
  if (landed(step, before, now)) return "landed";
  return before.answered.equals(now.answered) ? "waits" : "lost";
}

function retake(editor, item, action, body) {
  if (action === "delete") editor.items = editor.items.filter((other) => other !== item);
  const step = { item, action, body };
  editor.foresee(step);
  editor.do(item, action, body, step.drawn);
}

function find(items, object) {
  return items.find(({ id, key }) => id === object || key === object);
}

function revive(editor, key, body) {
  const item = editor.appear(body);
  item.key = key;
  return item;
}
