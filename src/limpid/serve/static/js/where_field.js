import { h, say } from "./dom.js";
import { attempt } from "./notices.js";
import { pick } from "./picker.js";

/** Where results go: beside the input, into a folder, or for a single one under a name of one's own. */
export function whereField(store, draft, signal) {
  const choice = (kind, label, ...more) =>
    h(
      "div.choice",
      {},
      h("label", {}, h("input", { type: "radio", name: "where", value: kind, onchange: () => take(kind) }), label),
      ...more,
    );
  const folder = h("button", { type: "button", onclick: () => attempt(choose) }, "Choose ...");
  const shown = h("span.path.quiet");
  const file = h("input", {
    type: "text",
    "aria-label": "Path of the result",
    spellcheck: "false",
    autocomplete: "off",
    onchange: () => draft.to({ kind: "file", path: file.value.trim() }),
  });
  const replace = h("input", {
    type: "checkbox",
    onchange: () => draft.replace(replace.checked),
  });
  const choose = async () => {
    const [found] = await pick({ folders: true });
    if (found) draft.to({ kind: "folder", path: found.path });
    update();
  };
  const take = (kind) => {
    if (kind === "folder" && draft.where.kind !== "folder") attempt(choose);
    else draft.to({ kind, path: kind === "file" ? suggestion(draft) : draft.where.path });
  };
  const named = choice("file", "A name of my own", file);
  const element = h(
    "div.where",
    { role: "radiogroup", "aria-label": "Where results go" },
    choice("beside", "Beside the input"),
    choice("folder", "In a folder", folder, shown),
    named,
    h("label.check", {}, replace, "Replace a result that exists"),
  );
  const update = () => {
    const { kind, path } = draft.where;
    for (const radio of element.querySelectorAll("[name=where]")) radio.checked = radio.value === kind;
    [folder, shown, file].forEach((part) =>
      part.classList.toggle("unseen", kind !== (part === file ? "file" : "folder")),
    );
    say(shown, kind === "folder" ? path : "");
    if (kind === "file" && document.activeElement !== file) file.value = path;
    named.hidden = draft.inputs.length > 1;
    replace.checked = draft.overwrite;
  };
  for (const topic of ["inputs", "settings"]) draft.addEventListener(topic, update, { signal });
  update();
  return element;
}

/** What the server would call the result, as a beginning. */
function suggestion(draft) {
  return draft.checked?.output ?? draft.ready()[0]?.path ?? "";
}
