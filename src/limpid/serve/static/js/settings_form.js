import { fill, h, say } from "./dom.js";
import { makeField } from "./fields.js";
import { effective, unmet } from "./needs.js";
import { sizeField } from "./size_field.js";

const APART = ["method", "scale", "height", "preview", "preset_name"];

/**
 * All settings: a few that matter, the others behind "more", each with its help and why it has no effect.
 * @param {import("./store.js").Store} store @param {import("./draft.js").Draft} draft @param {AbortSignal} signal
 */
export function settingsForm(store, draft, signal) {
  const { properties } = store.schema,
    common = store.schema["x-common"] ?? ["method", "scale", "height", "detail", "denoise", "codec", "crf"];
  const changed = (name, value) => draft.set(name, value);
  const names = Object.keys(properties).filter((name) => !APART.includes(name));
  const fields = new Map(names.map((name) => [name, makeField(name, properties[name], changed)]));
  const size = sizeField(({ scale, height }) => {
    const { scale: _, height: __, ...rest } = draft.settings;
    draft.use({ ...rest, ...(scale !== null && { scale }), ...(height !== null && { height }) }, null);
  });
  const method = methodField(store, (name) => draft.set("method", name));
  const first = common.filter((name) => fields.has(name));
  const groups = groupsOf(
    properties,
    names.filter((name) => !first.includes(name)),
    fields,
    store.schema["x-groups"],
  );
  const hidden = h("p.quiet"),
    more = h("details.more", {}, h("summary", {}, "More settings"), hidden, groups);
  const element = h(
    "div.settings",
    {},
    h(
      "div.field-grid",
      {},
      method.element,
      size.element,
      first.map((name) => fields.get(name).element),
    ),
    more,
  );
  const update = () => refresh({ store, draft, fields, size, method, more, hidden });
  draft.addEventListener("settings", update, { signal });
  update();
  return element;
}

function groupsOf(properties, names, fields, order) {
  const headings = order ?? [...new Set(names.map((name) => properties[name]["x-group"]))];
  return headings.map((heading) => {
    const members = names.filter((name) => properties[name]["x-group"] === heading);
    return members.length
      ? h(
          "fieldset",
          {},
          h("legend", {}, heading),
          h(
            "div.field-grid",
            {},
            members.map((name) => fields.get(name).element),
          ),
        )
      : null;
  });
}

function refresh({ store, draft, fields, size, method, more, hidden }) {
  const { properties } = store.schema,
    { settings } = draft,
    chosen = store.methods[settings.method ?? properties.method.default];
  let left = 0;
  for (const [name, field] of fields) {
    const works = effective(chosen, name),
      set = name in settings;
    const why = works ? unmet(properties, settings, name) : "Has no effect with this method; reset it.";
    left += works || set ? 0 : 1;
    field.show(settings[name], why, works || set);
  }
  for (const group of more.querySelectorAll("fieldset"))
    group.hidden = ![...group.querySelectorAll(".field")].some((field) => !field.hidden);
  say(hidden, left ? `${left} settings of other methods are not shown.` : "");
  size.show(settings);
  method.show(settings.method ?? properties.method.default);
}

/** The methods; those whose weights are missing can be read about, but not chosen. */
function methodField(store, changed) {
  const select = h("select", {
    id: "set-method",
    "aria-describedby": "method-help",
    onchange: () => changed(select.value),
  });
  const help = h("p.help", { id: "method-help" });
  fill(
    select,
    Object.entries(store.methods).map(([name, about]) =>
      h("option", { value: name }, about.missing ? `${name} (weights missing)` : name),
    ),
  );
  const element = h(
    "div.field.wide",
    {},
    h("div.field-head", {}, h("label", { for: "set-method" }, "Method")),
    select,
    help,
  );
  return {
    element,
    show: (name) => {
      const about = store.methods[name] ?? {};
      select.value = name;
      say(help, [about.summary, about.missing ?? about.problem].filter(Boolean).join(". "));
      element.classList.toggle("wrong", Boolean(about.missing ?? about.problem));
    },
  };
}
