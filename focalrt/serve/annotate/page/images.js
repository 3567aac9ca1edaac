// The list of the folder's images.

import { writeAttribute, writeText } from "./write.js";

export class ImageList {
  constructor(list, editor) {
    Object.assign(this, { list, editor });
    this.template = document.querySelector("#image-row");
    this.rows = [];
  }

  show() {
    const { images } = this.editor.project;
    while (this.rows.length < images.length) this.rows.push(this.row(images[this.rows.length].name));
    images.forEach((image, place) => this.fill(this.rows[place], image, image.name === this.editor.image?.name));
  }

  row(name) {
    const row = this.template.content.firstElementChild.cloneNode(true);
    row.querySelector(".title").textContent = name;
    row.querySelector("button").addEventListener("click", () => this.editor.open(name));
    this.list.append(row);
    return row;
  }

  fill(row, { objects, error }, current) {
    const button = row.querySelector("button");
    writeText(row.querySelector(".count"), error ? "!" : objects ? String(objects) : "");
    writeAttribute(button, "title", error ?? "");
    if (current === button.hasAttribute("aria-current")) return;
    if (!current) return button.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    row.scrollIntoView({ block: "nearest" });
  }
}
