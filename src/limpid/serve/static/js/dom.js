/** Elements of the page. Text only ever becomes text nodes, so that names of files are never read as markup. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/** Properties that are set on the object, because an attribute would only be their first value. */
const LIVE = new Set([
  "value",
  "checked",
  "disabled",
  "hidden",
  "selected",
  "open",
  "indeterminate",
  "max",
  "min",
  "step",
  "htmlFor",
]);

/**
 * Makes an element.
 * @param {string} tag a name, with classes after dots: "p.quiet"
 * @param {Record<string, any>} [props] `on...` are listeners, others attributes; null, undefined and false are left out
 * @param {...(Child | Child[])} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split("."),
    made = document.createElement(name);
  if (classes.length) made.className = classes.join(" ");
  add(made, ...children);
  set(made, props);
  return made;
}

/** Sets properties as `h` does. */
export function set(element, props) {
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (LIVE.has(key)) element[key] = value ?? "";
    else if (value === null || value === undefined || value === false) element.removeAttribute(key);
    else element.setAttribute(key, value === true ? "" : value);
  }
}

/** Appends children, leaving out those that are nothing. */
export function add(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false && child !== "") element.append(child);
  }
}

/** Puts children in place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, ...children);
  return element;
}

/** Changes text only where it is another, so that nothing is announced or selected away needlessly. */
export function say(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

/**
 * Makes the children of an element stand for items, keeping the element of each item, and its focus, when it moves.
 * @template T
 * @param {HTMLElement} box @param {T[]} items @param {(item: T) => string} key
 * @param {(item: T) => HTMLElement & {update?: (item: T) => void}} make
 */
export function keyed(box, items, key, make) {
  const there = new Map([...box.children].map((child) => [child.dataset.key, child])),
    focus = document.activeElement;
  let place = box.firstElementChild;
  for (const item of items) {
    const name = key(item),
      element = there.get(name) ?? make(item);
    there.delete(name);
    element.dataset.key = name;
    if (element === place) place = place.nextElementSibling;
    else box.insertBefore(element, place);
    element.update?.(item);
  }
  for (const left of there.values()) left.remove();
  if (focus && focus !== document.activeElement && box.contains(focus)) focus.focus({ preventScroll: true });
}

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  up: "M5 12l5-5 5 5",
  down: "M5 8l5 5 5-5",
  pause: "M7 5v10M13 5v10",
  play: "M7 5l8 5-8 5z",
  close: "M6 6l8 8M14 6l-8 8",
  retry: "M15.500 10a5.500 5.500 0 1 1-1.700-4M14.500 2.800v3.400h-3.400",
  folder: "M3 6a1 1 0 0 1 1-1h4l2 2h6a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1z",
  film: "M4 4h12v12H4zM4 8h12M4 12h12M8 4v12M12 4v12",
  image: "M4 4h12v12H4zM4 14l4-4 3 3 2-2 3 3M12.500 7.500h.01",
  check: "M4.500 10.500l3.500 3.500 7.500-8",
  drag: "M7.500 5h.01M12.500 5h.01M7.500 10h.01M12.500 10h.01M7.500 15h.01M12.500 15h.01",
  drop: "M10 13V4M6.500 7.500L10 4l3.500 3.500M4 13v3h12v-3",
  copy: "M8 8h8v8H8zM5 12H4V4h8v1",
  warn: "M10 4l7 12H3zM10 9v3M10 14.200h.01",
  eye: "M2.500 10s3-5 7.500-5 7.500 5 7.500 5-3 5-7.500 5-7.500-5-7.500-5zM10 10h.01",
};

/** A small drawing of one stroke, hidden from those who listen. @param {keyof typeof ICONS} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg"),
    path = document.createElementNS(SVG, "path");
  for (const [key, value] of [
    ["viewBox", "0 0 20 20"],
    ["class", `icon ${name}`],
    ["aria-hidden", "true"],
  ])
    svg.setAttribute(key, value);
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button of an icon, with a name for those who listen or hover. */
export function iconButton(name, label, onclick, props = {}) {
  return h("button.icon-button", { type: "button", "aria-label": label, title: label, onclick, ...props }, icon(name));
}
