import { h, say } from "./dom.js";
import { labelOf } from "./needs.js";

/**
 * A control for one property of the settings.
 * @typedef {object} Field
 * @property {HTMLElement} element
 * @property {(value: any, hint: string | null, shown: boolean) => void} show `hint`: why it has no effect
 */
/** @typedef {{read: () => any, write: (value: any) => void, control: HTMLElement, beside?: HTMLElement}} Control */

const kindOf = (property) => [property.type].flat().find((kind) => kind !== "null");
const isRange = (property) =>
  kindOf(property) === "number" && (property.minimum ?? property.exclusiveMinimum) === 0 && property.maximum === 1;

/** The fitting control with its label, help, reset button and hint. @returns {Field} */
export function makeField(name, property, changed) {
  const id = `set-${name}`,
    make = property.enum ? choice : kindOf(property) === "boolean" ? toggle : isRange(property) ? slider : entry;
  const built = make(id, property, () => changed(name, built.read()));
  const reset = h(
    "button.link.reset",
    { type: "button", "aria-label": `Reset ${labelOf(name)}`, onclick: () => changed(name, property.default) },
    "reset",
  );
  const hint = h("p.hint", { id: `${id}-hint`, role: "status" });
  const help = h("p.help", { id: `${id}-help` }, helpOf(property));
  built.control.setAttribute("aria-describedby", `${id}-help ${id}-hint`);
  const head = h("div.field-head", {}, h("label", { for: id }, labelOf(name)), built.beside, reset);
  const element = h("div.field", {}, head, built.control, help, hint);
  element.dataset.name = name;
  return {
    element,
    show: (value, why, shown) => {
      const set = value !== undefined;
      built.write(set ? value : property.default);
      element.hidden = !shown;
      element.classList.toggle("wrong", set && why !== null);
      element.classList.toggle("idle", !set && why !== null);
      reset.classList.toggle("unseen", !set);
      say(hint, why ?? "");
    },
  };
}

function helpOf(property) {
  const text = property.description;
  return text.charAt(0).toUpperCase() + text.slice(1) + ".";
}

/** @returns {Control} */
function choice(id, property, changed) {
  const own = property.default === null ? "automatic" : null;
  const options = property.enum.map((value) =>
    h("option", { value: value ?? "" }, value === null ? own : String(value)),
  );
  if (property.enum.includes(null)) options.unshift(options.pop());
  const control = h("select", { id, onchange: changed }, options);
  const numeric = kindOf(property) !== "string";
  return {
    control,
    write: (value) => {
      control.value = value ?? "";
    },
    read: () => (control.value === "" ? null : numeric ? Number(control.value) : control.value),
  };
}

/** @returns {Control} */
function toggle(id, property, changed) {
  const control = h("input.switch", { id, type: "checkbox", role: "switch", onchange: changed });
  return {
    control,
    write: (value) => {
      control.checked = value;
    },
    read: () => control.checked,
  };
}

/** @returns {Control} */
function slider(id, property, changed) {
  const control = h("input", { id, type: "range", min: 0, max: 1, step: 0.05 });
  const beside = h("output.beside", { for: id });
  const tell = (own) => say(beside, own ? "the method's own" : Number(control.value).toFixed(2));
  control.addEventListener("input", () => tell(false));
  control.addEventListener("change", changed);
  const least = property.exclusiveMinimum === 0 ? 0.05 : 0;
  return {
    control,
    beside,
    read: () => Math.max(least, Number(control.value)),
    write: (value) => {
      control.value = value ?? 0.5;
      control.classList.toggle("own", value === null);
      tell(value === null);
    },
  };
}

/** @returns {Control} */
function entry(id, property, changed) {
  const kind = kindOf(property),
    number = kind === "integer" || kind === "number",
    text = [property.type].flat().includes("string");
  const limits =
    number && !text
      ? { min: property.minimum ?? "", max: property.maximum ?? "", step: kind === "integer" ? 1 : "any" }
      : {};
  const control = h("input", {
    id,
    type: number && !text ? "number" : "text",
    placeholder: property.default ?? "",
    spellcheck: "false",
    autocomplete: "off",
    ...limits,
    onchange: changed,
  });
  return {
    control,
    write: (value) => {
      if (document.activeElement !== control || value === property.default)
        control.value = value === property.default ? "" : (value ?? "");
    },
    read: () =>
      control.value.trim() === "" ? property.default : number && !text ? Number(control.value) : control.value.trim(),
  };
}
