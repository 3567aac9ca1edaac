// The list of the image's objects: choose, rename, recolour, delete.

import { writeAttribute, writeText } from "./write.js";

export class ObjectList {
  constructor(list, editor) {
    Object.assign(this, { list, editor });
    this.rows = new Map(); // item -> its row
    this.template = document.querySelector("#object-row");
  }

  /** Brings the rows up to date; those that stay are not touched beyond what changed, so that they keep the focus. */
  show() {
    const { items } = this.editor;
    for (const [item, row] of this.rows) {
      if (items.includes(item)) continue;
      row.remove();
      this.rows.delete(item);
    }
    items.forEach((item, place) => {
      if (!this.rows.has(item)) this.rows.set(item, this.row(item));
      const row = this.rows.get(item);
      if (this.list.children[place] !== row) this.list.insertBefore(row, this.list.children[place] ?? null);
      this.fill(row, item);
    });
  }

  row(item) {
    const row = this.template.content.firstElementChild.cloneNode(true);
    const part = (name) => row.querySelector(`.${name}`);
    part("choose").addEventListener("click", () => this.editor.select(item));
    part("choose").addEventListener("dblclick", () => this.rename(item));
    part("edit").addEventListener("click", () => this.rename(item));
    part("delete").addEventListener("click", () => this.editor.delete(item));
    part("colour").addEventListener("change", (event) => this.editor.recolour(item, event.target.value));
    part("name").addEventListener("blur", () => this.renamed(item, true));
    part("name").addEventListener("keydown", (event) => {
      if (event.isComposing) return; // the key is for the input method
      if (event.key === "Enter" || event.key === "Escape") this.renamed(item, event.key === "Enter");
    });
    return row;
  }

  fill(row, item) {
    const part = (name) => row.querySelector(`.${name}`);
    const current = item === this.editor.current;
    row.classList.toggle("current", current);
    writeAttribute(part("choose"), "aria-pressed", String(current));
    writeText(part("title"), item.name);
    writeText(part("area"), `${item.mask.area.toLocaleString("en")} px`);
    writeAttribute(part("colour"), "aria-label", `Colour of ${item.name}`);
    writeAttribute(part("edit"), "aria-label", `Rename ${item.name}`);
    writeAttribute(part("delete"), "aria-label", `Delete ${item.name}`);
    if (part("colour") !== document.activeElement) part("colour").value = item.colour;
  }

  rename(item) {
    const row = this.rows.get(item);
    if (!row) return;
    const field = row.querySelector(".name");
    row.classList.add("renaming");
    field.value = item.name;
    field.setAttribute("aria-label", `New name of ${item.name}`);
    field.focus();
    field.select();
  }

  renamed(item, keep) {
    const row = this.rows.get(item);
    if (!row?.classList.contains("renaming")) return;
    const inside = row.contains(document.activeElement);
    row.classList.remove("renaming");
    if (inside) row.querySelector(".choose").focus();
    if (keep) this.editor.rename(item, row.querySelector(".name").value);
  }
}
