import { fill, h, icon, iconButton, set } from "./dom.js";
import { bytes, counted } from "./format.js";
import { attempt } from "./notices.js";
import { pick } from "./picker.js";
import { presetsBar } from "./presets_bar.js";
import { settingsForm } from "./settings_form.js";
import { summary } from "./summary.js";
import { whereField } from "./where_field.js";
import { pictureUrl } from "./api.js";

/** Where jobs are prepared: files, settings, where to; beside them what it will take. @type {import("./main.js").View} */
export function newView({ store, draft, main, signal }) {
  const files = h(
    "section.card",
    { "aria-labelledby": "files-title" },
    h("h2", { id: "files-title" }, "Files"),
    inputsList(draft, signal),
    sources(draft),
  );
  const settings = h(
    "section.card",
    { "aria-labelledby": "settings-title" },
    h("div.card-head", {}, h("h2", { id: "settings-title" }, "Settings"), presetsBar(store, draft, signal)),
    settingsForm(store, draft, signal),
  );
  const where = h(
    "section.card",
    { "aria-labelledby": "where-title" },
    h("h2", { id: "where-title" }, "Where to"),
    whereField(store, draft, signal),
  );
  fill(
    main,
    h("h1", {}, "Add videos"),
    h("div.two-columns", {}, h("div.stack", {}, files, settings, where), summary(store, draft, signal)),
  );
}

/** The place to drop files on, and the ways to choose them. @param {import("./draft.js").Draft} draft */
export function sources(draft, large = false) {
  const field = h("input.unseen", { type: "file", multiple: true, tabindex: "-1", "aria-hidden": "true" });
  field.addEventListener("change", () => {
    draft.addFiles([...field.files].map((file) => ({ file, folder: null })));
    field.value = "";
    location.hash = "#/new";
  });
  const choose = async () => {
    const found = await pick();
    for (const { path, size_bytes } of found) draft.addPath(path, size_bytes);
    if (found.length) location.hash = "#/new";
  };
  const zone = h(
    `div.drop-zone${large ? ".large" : ""}`,
    {},
    icon("drop"),
    h("p", {}, h("strong", {}, "Drop videos here"), h("span.quiet", {}, " or anywhere on the page")),
    h(
      "div.actions",
      {},
      h("button", { type: "button", onclick: () => attempt(choose) }, "Choose on this machine"),
      h("button", { type: "button", onclick: () => field.click() }, "Upload files"),
    ),
    field,
  );
  let depth = 0;
  const over = (by) => zone.classList.toggle("over", (depth = Math.max(0, depth + by)) > 0);
  zone.addEventListener("dragenter", () => over(1));
  zone.addEventListener("dragleave", () => over(-1));
  zone.addEventListener("drop", () => over(-depth));
  return zone;
}

function inputsList(draft, signal) {
  const list = h("ul.inputs", { "aria-label": "Chosen files" }),
    rows = new Map();
  const update = () => {
    for (const key of rows.keys()) if (!draft.inputs.some((input) => input.key === key)) rows.delete(key);
    for (const input of draft.inputs) if (!rows.has(input.key)) rows.set(input.key, inputRow(draft, input));
    fill(
      list,
      [...rows.values()].map((row) => row.element),
    );
    list.hidden = !draft.inputs.length;
    for (const row of rows.values()) row.update();
  };
  draft.addEventListener("inputs", update, { signal });
  draft.addEventListener("uploads", () => rows.forEach((row) => row.update()), { signal });
  update();
  return list;
}

function inputRow(draft, input) {
  const about = h("span.quiet"),
    bar = h("progress", { max: Math.max(1, input.size_bytes), "aria-label": `Upload of ${input.name}` }),
    frame = h("span.thumb", {}, icon("film"));
  const element = h(
    "li",
    {},
    frame,
    h("div.grow", {}, h("span.name", {}, input.name), about, bar),
    iconButton("close", `Remove ${input.name}`, () => draft.remove(input)),
  );
  const update = () => {
    bar.hidden = Boolean(input.path || input.error);
    bar.value = input.received ?? 0;
    element.classList.toggle("wrong", Boolean(input.error));
    about.textContent =
      input.error ??
      (input.path
        ? `${input.size_bytes ? `${bytes(input.size_bytes)} · ` : ""}${input.stop ? "uploaded" : input.path}`
        : `${bytes(input.received)} of ${bytes(input.size_bytes)} uploaded`);
    if (input.path && !frame.dataset.path) picture(frame, input.path);
  };
  return { element, update };
}

/** Puts the first frame of a file in a frame that has a drawing until then; asked for when it comes into view. */
export function picture(frame, path) {
  frame.dataset.path = path;
  seen.observe(frame);
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    const image = h("img", { alt: "", decoding: "async" });
    image.addEventListener("load", () => fill(target, image));
    set(image, { src: pictureUrl(target.dataset.path) });
  }
});

/** How many there are, for buttons. */
export const howMany = (inputs) => (inputs.length > 1 ? counted(inputs.length, "video") : "");
