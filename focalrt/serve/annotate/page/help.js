// The help: the table of keys, as a dialog.

export function fillHelp(dialog, table) {
  const groups = dialog.querySelector(".groups");
  for (const [title, rows] of table) {
    const section = make("section", groups);
    make("h3", section, title);
    const list = make("dl", section);
    for (const { shown, help } of rows) {
      const keys = make("dt", list);
      shown.forEach((key) => make("kbd", keys, key));
      make("dd", list, help);
    }
  }
}

function make(tag, parent, text = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}
