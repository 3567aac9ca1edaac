// The keyboard: one table says what every key does, to the page and to its help.

const row = (shown, help, keys = [], act = null) => ({ shown: shown.split(" + "), help, keys, act });

/** Groups of rows { shown, help, keys, act }; keys as `keyName` tells them, none in rows that only are help. */
export function keyTable({ editor, stage, settings, crosshair, page }) {
  const tool = (key, name, help) => row(key.toUpperCase(), help, [key], () => settings.choose(name));
  const arrows = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };
  const names = Object.keys(arrows);
  const move = (fine) => (key) => crosshair.move(...arrows[key.replace("shift+", "")], fine);
  return [
    ["Click", [
      row("Left click", "add what is there"),
      row("Right click", "remove what is there"),
      row("A", "accept every withheld change", ["a"], () => editor.accept()),
      row("Alt + Click", "accept the withheld change there"),
      row("Ctrl + Z", "undo", ["ctrl+z"], () => editor.undo()),
      row("Ctrl + Y", "redo", ["ctrl+y", "ctrl+shift+z"], () => editor.redo()),
    ]],
    ["Without a mouse", [
      row("Arrows", "move the crosshair", names, move(false)),
      row("Shift + Arrows", "by one pixel", names.map((name) => `shift+${name}`), move(true)),
      row("Enter", "use the tool there; brush: down and up", ["enter"], () => crosshair.act(false)),
      row("Shift + Enter", "remove what is there", ["shift+enter"], () => crosshair.act(true)),
      row("Alt + Enter", "accept the withheld change there", ["alt+enter"], () => crosshair.accept()),
    ]],
    ["Tools", [
      tool("c", "add", "click to add"),
      tool("x", "remove", "click to remove"),
      tool("p", "brush", "brush"),
      tool("e", "eraser", "eraser"),
      row("[", "smaller brush", ["[", ","], () => settings.resizeBrush(-1)),
      row("]", "larger brush", ["]", "."], () => settings.resizeBrush(1)),
      row("Esc", "drop the stroke, hide the crosshair", ["escape"], () => page.escape()),
    ]],
    ["View", [
      row("Wheel", "zoom at the pointer"),
      row("Space + Drag", "move the photo"),
      row("+", "zoom in", ["+", "="], () => stage.zoom(1.25)),
      row("−", "zoom out", ["-"], () => stage.zoom(0.8)),
      row("0", "all of the photo", ["0"], () => stage.fit()),
      row("H", "hide the masks while held", ["h"], () => stage.hide(true)),
      row("B", "crop boxes of the last click", ["b"], () => settings.set({ boxes: !settings.boxes })),
    ]],
    ["Objects and images", [
      row("N", "new object", ["n"], () => editor.create()),
      row("1 + … + 9", "choose an object", [..."123456789"], (key) => page.choose(Number(key) - 1)),
      row("F2", "rename it", ["f2"], () => page.rename()),
      row("Del", "delete it; undo brings it back", ["delete"], () => page.delete()),
      row("Page ↓", "next image", ["pagedown"], () => editor.turn(1)),
      row("Page ↑", "previous image", ["pageup"], () => editor.turn(-1)),
      row("?", "this help", ["?"], () => page.help()),
    ]],
    ["Touch", [
      row("Tap", "use the tool there"),
      row("Long press", "remove what is there"),
      row("One finger", "move the photo, or paint"),
      row("Two fingers", "zoom and move"),
    ]],
  ];
}

/** A key in lower case; of a keyboard for another script than Latin, the letter that a Latin one has there. */
function letterOf({ key, code }) {
  const [, letter] = /^Key([A-Z])$/.exec(code) ?? [];
  return (letter && !/[\x20-\x7e]|\p{Script=Latin}/u.test(key) ? letter : key).toLowerCase();
}

/** A key as the table names it: "ctrl+shift+z", "?", "arrowup". Command counts as Ctrl. */
export function keyName(event) {
  const key = letterOf(event);
  const typed = key.length === 1 && !/[a-z]/.test(key); // a sign, however this keyboard makes it
  const made = event.getModifierState("AltGraph");
  const parts = [];
  if ((event.ctrlKey || event.metaKey) && !made) parts.push("ctrl");
  if (event.altKey && !made) parts.push("alt");
  if (event.shiftKey && !typed) parts.push("shift");
  return [...parts, key].join("+");
}

const ONCE = new Set(["delete", "enter", "shift+enter", "alt+enter", "n", "a", "b", "?"]); // however long they are held

export class Keyboard {
  constructor(table, { stage, mouse }) {
    Object.assign(this, { stage, mouse });
    this.acts = new Map();
    for (const [, rows] of table) for (const { keys, act } of rows) keys.forEach((key) => this.acts.set(key, act));
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
    if (event.repeat && ONCE.has(key)) return;
    if (key.includes("arrow")) this.stage.element.focus({ preventScroll: true });
    act(key);
  }

  up(event) {
    if (event.key === " ") this.mouse.hold(false);
    if (letterOf(event) === "h") this.stage.hide(false);
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
