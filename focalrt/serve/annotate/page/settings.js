// What the annotator chose about the page itself: kept by the browser, for every tab from the next load on.

const KEPT = "focalrt settings";
const FIRST = { tool: "add", brush: 24, opacity: 45, boxes: false, theme: "auto" };
const TOOLS = ["add", "remove", "brush", "eraser"];
const BRUSH = { least: 1, most: 400 };

/** Event "change". */
export class Settings extends EventTarget {
  constructor() {
    super();
    this.values = { ...FIRST, ...read(), tool: "add" };
  }

  get tool() {
    return this.values.tool;
  }

  get paints() {
    return this.tool === "brush" || this.tool === "eraser";
  }

  /** Diameter of brush and eraser in pixels of the photo. */
  get brush() {
    return this.values.brush;
  }

  get opacity() {
    return this.values.opacity / 100;
  }

  get boxes() {
    return this.values.boxes;
  }

  get theme() {
    return this.values.theme;
  }

  choose(tool) {
    if (TOOLS.includes(tool)) this.set({ tool });
  }

  /** Wider or narrower by a sixth, at least a pixel. */
  resizeBrush(direction) {
    const step = Math.max(1, Math.round(this.brush / 6));
    this.set({ brush: Math.min(Math.max(this.brush + direction * step, BRUSH.least), BRUSH.most) });
  }

  set(values) {
    Object.assign(this.values, values);
    write(this.values);
    this.dispatchEvent(new Event("change"));
  }
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}

function write(values) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(values));
  } catch {
    // A browser that keeps nothing forgets the settings; the page works all the same.
  }
}
