// The keyboard: one table says what every key does, to the page and to its help.

/** The table: groups of { keys, shown, help, act }. `keys` are as `keyName` tells them; rows without `act` are help only. */
export function keyTable({ editor, stage, settings, crosshair, page }) {
  const tool = (key, name, help) => ({ keys: [key], shown: [key.toUpperCase()], help, act: () => settings.choose(name) });
  const arrows = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };
  const move = (fine) => (key) => crosshair.move(...arrows[key.replace("shift+", "")], fine);
  const names = Object.keys(arrows);
  return [
    ["Click", [
      { shown: ["Left click"], help: "add what is there" },
      { shown: ["Right click"], help: "remove what is there" },
      { keys: ["a"], shown: ["A"], help: "accept every withheld change", act: () => editor.accept() },
      { shown: ["Alt", "Click"], help: "accept the withheld change there" },
      { keys: ["ctrl+z"], shown: ["Ctrl", "Z"], help: "undo", act: () => editor.undo() },
      { keys: ["ctrl+y", "ctrl+shift+z"], shown: ["Ctrl", "Y"], help: "redo", act: () => editor.redo() },
    ]],
    ["Without a mouse", [
      { keys: names, shown: ["Arrows"], help: "move the crosshair", act: move(false) },
      { keys: names.map((name) => `shift+${name}`), shown: ["Shift", "Arrows"], help: "by one pixel", act: move(true) },
      { keys: ["enter"], shown: ["Enter"], help: "use the tool there; brush: down and up", act: () => crosshair.act(false) },
      { keys: ["shift+enter"], shown: ["Shift", "Enter"], help: "remove what is there", act: () => crosshair.act(true) },
      { keys: ["alt+enter"], shown: ["Alt", "Enter"], help: "accept the withheld change there", act: () => crosshair.accept() },
    ]],
    ["Tools", [
      tool("c", "add", "click to add"),
      tool("x", "remove", "click to remove"),
      tool("p", "brush", "brush"),
      tool("e", "eraser", "eraser"),
      { keys: ["[", ","], shown: ["["], help: "smaller brush", act: () => settings.resizeBrush(-1) },
      { keys: ["]", "."], shown: ["]"], help: "larger brush", act: () => settings.resizeBrush(1) },
      { keys: ["escape"], shown: ["Esc"], help: "drop the stroke, hide the crosshair", act: () => page.escape() },
    ]],
    ["View", [
      { shown: ["Wheel"], help: "zoom at the pointer" },
      { shown: ["Space", "Drag"], help: "move the photo" },
      { keys: ["+", "="], shown: ["+"], help: "zoom in", act: () => stage.zoom(1.25) },
      { keys: ["-"], shown: ["−"], help: "zoom out", act: () => stage.zoom(0.8) },
      { keys: ["0"], shown: ["0"], help: "all of the photo", act: () => stage.fit() },
      { keys: ["h"], shown: ["H"], help: "hide the masks while held", act: () => stage.hide(true) },
      { keys: ["b"], shown: ["B"], help: "crop boxes of the last click", act: () => settings.set({ boxes: !settings.boxes }) },
    ]],
    ["Objects and images", [
      { keys: ["n"], shown: ["N"], help: "new object", act: () => editor.create() },
      { keys: [..."123456789"], shown: ["1", "…", "9"], help: "choose an object", act: (key) => page.choose(Number(key) - 1) },
      { keys: ["f2"], shown: ["F2"], help: "rename it", act: () => page.rename() },
      { keys: ["delete"], shown: ["Del"], help: "delete it; undo brings it back", act: () => page.delete() },
      { keys: ["pagedown"], shown: ["Page ↓"], help: "next image", act: () => editor.turn(1) },
      { keys: ["pageup"], shown: ["Page ↑"], help: "previous image", act: () => editor.turn(-1) },
      { keys: ["?"], shown: ["?"], help: "this help", act: () => page.help() },
    ]],
    ["Touch", [
      { shown: ["Tap"], help: "use the tool there" },
      { shown: ["Long press"], help: "remove what is there" },
      { shown: ["One finger"], help: "move the photo, or paint" },
      { shown: ["Two fingers"], help: "zoom and move" },
    ]],
  ];
}

/** A key as the table names it: "ctrl+shift+z", "?", "arrowup". Command counts as Ctrl. */
export function keyName(event) {
  const key = event.key.toLowerCase();
  const typed = key.length === 1 && !/[a-z]/.test(key); // a sign, however this keyboard makes it
  const made = event.getModifierState("AltGraph");
  const parts = [];
  if ((event.ctrlKey || event.metaKey) && !made) parts.push("ctrl");
  if (event.altKey && !made) parts.push("alt");
  if (event.shiftKey && !typed) parts.push("shift");
  return [...parts, key].join("+");
}

export class Keyboard {
  constructor(table, { stage, mouse }) {
    Object.assign(this, { stage, mouse });
    this.acts = new Map();
    for (const [, rows] of table) for (const { keys = [], act } of rows) keys.forEach((key) => this.acts.set(key, act));
    document.addEventListener("keydown", (event) => this.down(event));
    document.addEventListener("keyup", (event) => this.up(event));
    document.addEventListener("click", (event) => this.clicked(event));
    window.addEventListener("blur", () => this.release());
  }

  down(event) {
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === " " && !isControl(event.target)) {
      event.preventDefault();
      return this.mouse.hold(true);
    }
    const key = keyName(event);
    const act = this.acts.get(key);
    if (!act || (key.endsWith("enter") && isControl(event.target)) || isMoved(event.target, key)) return;
    event.preventDefault();
    if (key.includes("arrow")) this.stage.element.focus({ preventScroll: true });
    act(key);
  }

  up(event) {
    if (event.key === " ") this.mouse.hold(false);
    if (event.key.toLowerCase() === "h") this.stage.hide(false);
  }

  /** A control that a pointer pressed gives space and Enter back to the photo. */
  clicked({ detail: byPointer }) {
    const { activeElement: active } = document;
    if (byPointer && isControl(active) && !isTyping(active) && !document.querySelector("dialog[open]")) active.blur();
  }

  release() {
    this.mouse.hold(false);
    this.stage.hide(false);
  }
}

const isTyping = (element) => element.matches("input:not([type=range], [type=checkbox], [type=color]), textarea");
const isControl = (element) => element.matches("button, a, input, summary, select");
const isMoved = (element, key) => element.matches("input[type=range]") && /arrow|page/.test(key);
