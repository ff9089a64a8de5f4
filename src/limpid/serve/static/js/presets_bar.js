import { call } from "./api.js";
import { openDialog } from "./dialog.js";
import { fill, h, say } from "./dom.js";
import { attempt, notice, sentence } from "./notices.js";

/** Named settings, kept by the server: to use, to save, to delete. */
export function presetsBar(store, draft, signal) {
  const select = h("select", { "aria-label": "Preset" });
  const remove = h(
    "button.quiet-button",
    { type: "button", onclick: () => attempt(() => call("DELETE", `/presets/${encodeURIComponent(draft.preset)}`)) },
    "Delete",
  );
  const save = h("button.quiet-button", { type: "button", onclick: () => saveDialog(draft) }, "Save as ...");
  select.addEventListener("change", () => {
    const preset = store.presets.find(({ name }) => name === select.value);
    draft.use(preset ? { ...preset.settings } : {}, preset?.name ?? null);
  });
  const group = (label, ours) => {
    const members = store.presets.filter(({ builtin }) => builtin === ours);
    if (!members.length) return null;
    const options = members.map(({ name, description }) => h("option", { value: name, title: description || null }, name));
    return h("optgroup", { label }, options);
  };
  const update = () => {
    const own = Object.keys(draft.settings).length > 0 && !draft.preset;
    fill(
      select,
      h("option", { value: "" }, own ? "Own settings" : "Defaults"),
      own ? h("option", { value: " " }, "Back to the defaults") : null,
      group("Yours", false),
      group("By content", true),
    );
    select.value = draft.preset ?? "";
    remove.hidden = !store.presets.some(({ name, builtin }) => name === draft.preset && !builtin);
  };
  draft.addEventListener("settings", update, { signal });
  store.on("presets", update, signal);
  update();
  return h("div.presets", {}, select, save, remove);
}

function saveDialog(draft) {
  const name = h("input", {
    type: "text",
    id: "preset-name",
    required: true,
    maxlength: 64,
    pattern: "[A-Za-z0-9 _.\\-]+",
    autocomplete: "off",
  });
  const about = h("input", { type: "text", id: "preset-about", autocomplete: "off" }),
    wrong = h("p.error", { role: "alert" });
  const send = async (event) => {
    event.preventDefault();
    try {
      await call("PUT", `/presets/${encodeURIComponent(name.value.trim())}`, {
        body: { description: about.value, settings: draft.settings },
      });
      draft.use(draft.settings, name.value.trim());
      notice("The preset is saved.");
      dialog.close();
    } catch (problem) {
      say(wrong, sentence(problem));
    }
  };
  const dialog = openDialog("Save these settings", [
    h(
      "form.stack",
      { onsubmit: send },
      h("label", { for: "preset-name" }, "Name"),
      name,
      h("label", { for: "preset-about" }, "What they are for"),
      about,
      wrong,
      h("div.actions", {}, h("button.primary", { type: "submit" }, "Save")),
    ),
  ]);
}
