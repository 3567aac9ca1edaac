// What becomes of steps that were not answered as expected: after a reload, a restart of the server, or another tab.

import { Rows, XOR } from "./rows.js";
import * as say from "./sentences.js";

/** The server has a step's object in another state than the page. Where its pixels are the same, as after a restart of
 * the server, or where the step itself was taken and its answer lost, all goes on; otherwise the other tab comes first.
 */
export async function overtaken(editor, step, object) {
  const { steps } = editor;
  const { item } = step;
  const done = Boolean(step.tried) && landed(step, item, object);
  const again = !done && !step.again && answeredMask(editor, step).equals(Rows.fromRuns(object.runs));
  if (again) steps.repeat(step);
  else if (!done) steps.drop(item);
  editor.renew(item, object);
  if (done || again) return;
  await editor.reread();
  editor.say(say.anotherTab(item));
}

/** The pixels of a step's item before every stroke that the server has not answered. */
function answeredMask({ steps, pen }, step) {
  const { item, drawn } = step;
  const mask = new Rows();
  for (const rows of [item.mask, drawn, ...steps.of(item).map((later) => later.drawn)]) {
    if (rows) mask.merge(rows, XOR);
  }
  if (pen.item === item) mask.merge(pen.drawn, XOR);
  return mask;
}

/** Whether a newer state of an object is what a step makes of the item, as far as one can tell. */
function landed({ action, body }, item, object) {
  if (action !== "click") return true;
  return String(object.clicks) === String([...item.clicks, [body.x, body.y, body.positive]]);
}

/** Takes up the steps that a reload left unsent, unless another tab was at work on their object. */
export function resume(editor, unsent) {
  const met = new Map(); // item -> whether its steps still hold
  for (const { object, revision, clicks, action, body } of unsent) {
    const item = action === "create" ? revive(editor, object, body) : find(editor.items, object);
    if (!item) continue;
    const stale = !met.has(item) && action !== "create" && item.revision !== revision;
    if (!met.has(item)) met.set(item, !stale || landed({ action, body }, { clicks }, item));
    if (!stale && met.get(item)) retake(editor, item, action, body);
  }
  for (const [item, holds] of met) if (!holds) editor.say(say.anotherTab(item));
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
