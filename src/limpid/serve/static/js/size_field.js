import { h, say } from "./dom.js";

const SCALES = [2, 3, 4];
const HEIGHTS = [720, 1080, 1440, 2160];

/** Scale and height as one question, because only one of them may be answered. */
export function sizeField(changed) {
  const select = h(
    "select",
    { id: "set-size", "aria-describedby": "size-help" },
    h("option", { value: "" }, "4 times (default)"),
    SCALES.filter((times) => times !== 4).map((times) => h("option", { value: `scale ${times}` }, `${times} times`)),
    HEIGHTS.map((px) => h("option", { value: `height ${px}` }, `${px} pixels high${px === 2160 ? " (4K)" : ""}`)),
    h("option", { value: "other scale" }, "Other scale ..."),
    h("option", { value: "other height" }, "Other height ..."),
  );
  const number = h("input", {
    type: "number",
    id: "size-number",
    "aria-label": "Scale or height",
    hidden: true,
    step: "any",
  });
  const help = h("p.help", { id: "size-help" });
  const give = (kind, value) =>
    changed({ scale: kind === "scale" ? value : null, height: kind === "height" ? value : null });
  select.addEventListener("change", () => {
    const [kind, value] = select.value.split(" ");
    if (kind === "other") ask(number, value, value === "scale" ? 2.5 : 900, give);
    else give(kind, value ? Number(value) : null);
  });
  number.addEventListener("change", () => give(number.dataset.kind, Number(number.value) || null));
  const element = h(
    "div.field",
    {},
    h("div.field-head", {}, h("label", { for: "set-size" }, "Size")),
    h("div.row-tight", {}, select, number),
    help,
  );
  return { element, show: (settings) => show(settings, select, number, help) };
}

function ask(number, kind, value, give) {
  number.dataset.kind = kind;
  give(kind, value);
  number.focus();
}

function show({ scale = null, height = null }, select, number, help) {
  const kind = height !== null ? "height" : "scale",
    value = height ?? scale,
    wanted = value === null || (kind === "scale" && value === 4) ? "" : `${kind} ${value}`;
  const listed = [...select.options].some((option) => option.value === wanted);
  select.value = listed && number.dataset.kind !== kind ? wanted : value === null ? "" : `other ${kind}`;
  number.hidden = !select.value.startsWith("other");
  if (number.hidden) delete number.dataset.kind;
  else Object.assign(number.dataset, { kind });
  if (document.activeElement !== number) number.value = value ?? "";
  say(help, kind === "height" ? "Height of the output; the width follows." : "Output size over input size, up to 16.");
}
