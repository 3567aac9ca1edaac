// Writing to the page only what is new: the browser lays out again whatever is written, equal or not.

export function writeText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function writeAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
