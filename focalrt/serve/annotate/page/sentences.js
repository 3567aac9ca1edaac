// What the page says to the annotator. A sentence is { text, trouble?, action?: { label, holds, act } }; holds():
// whether the action still does what the sentence says.

const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

const sentence = (text, more = {}) => ({ text, ...more });

export const welcome = sentence("Click the thing that you want; right-click what does not belong.");
export const nothingToUndo = sentence("There is nothing to undo.");
export const nothingToRedo = sentence("There is nothing to do again.");
export const nothingWithheld = sentence("No change is withheld.");
export const trouble = (text) => sentence(text, { trouble: true });
export const noImages = (folder) => trouble(`${folder} holds no photo.`);
export const gone = (item) => trouble(`${item.name} was deleted in another tab.`);
export const deleted = (item, undo) => sentence(`${item.name} is deleted.`, { action: { label: "Undo", ...undo } });
const size = ({ width, height }) => `${width} × ${height}`;

export const sizesDiffer = (opened, photo) =>
  `The photo has ${size(opened)} pixels for the server, ${size(photo)} for this browser.`;

export const anotherTab = (item) =>
  trouble(`${item.name} was changed in another tab. You see it as it is now, without what you did last.`);

export const imported = (file, objects, image) =>
  sentence(objects ? `${count(objects, "object")} from ${file} for ${image}.` : `${file} holds no object.`);

export const unsent = (steps, error) =>
  trouble(`${error.message} ${count(steps, "step")} ${steps === 1 ? "is" : "are"} kept here until it is back.`);

const DONE = {
  paint: "Painted.",
  accept: "Accepted.",
  undo: "Undone.",
  redo: "Done again.",
  reset: "Back to the beginning; undo takes that back.",
};

/** What came of a step. */
export function outcome(action, change, item) {
  const regions = change.withheld.length;
  const more = regions ? ` ${count(regions, "more change is", "more changes are")} withheld; A accepts.` : "";
  if (action !== "click") return sentence(DONE[action]);
  if (change.outcome === "disobeyed") {
    return sentence(`The network did not follow this click; nothing changed.${more}`, { trouble: true });
  }
  if (change.outcome === "unchanged") return sentence(`The network agrees with the mask here; nothing changed.${more}`);
  const against = change.obeyed ? "" : ", but not as this click says";
  return sentence(`${item.name}: ${count(change.area, "pixel")}${against}.${more}`, { trouble: !change.obeyed });
}
