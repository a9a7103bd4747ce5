// Elements without markup in strings.

/** An element with attributes and children; children that are texts become text nodes. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Words of a description: paragraphs, `code`, nothing else. */
export function prose(text) {
  const box = el("div", { class: "prose" });
  for (const paragraph of String(text).split(/\n\s*\n/)) {
    const pieces = paragraph.split(/`([^`\n]+)`/);
    box.append(el("p", {}, ...pieces.map((piece, at) => (at % 2 ? el("code", {}, piece) : piece))));
  }
  return box;
}
