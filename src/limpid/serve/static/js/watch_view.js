import { call, get, post } from "./api.js";
import { confirmed } from "./dialog.js";
import { fill, h, keyed, say } from "./dom.js";
import { counted, inShort } from "./format.js";
import { attempt, sentence } from "./notices.js";
import { pick } from "./picker.js";

/** Folders whose new videos become jobs. @type {import("./main.js").View} */
export function watchView({ store, draft, main, signal }) {
  const list = h("ul.watches", { "aria-label": "Watched folders" }),
    empty = h("p.empty", {}, "No folder is watched yet.");
  let newest = 0; // answers may overtake each other; only that to the last question is shown
  const load = () =>
    attempt(async () => {
      const question = ++newest;
      const { watches } = await get("/watches", signal);
      if (question !== newest) return;
      keyed(list, watches, (watch) => watch.id, watchRow);
      empty.hidden = watches.length > 0;
    });
  fill(
    main,
    h("h1", {}, "Watch folders"),
    h(
      "p.lead",
      {},
      "A new video in a watched folder becomes a job as soon as it has stopped growing. When a job fails, its video is moved to a folder ",
      h("q", {}, "failed"),
      " beside it, with a text that says why.",
    ),
    list,
    empty,
    watchForm(store, draft, signal),
  );
  store.on("watches", load, signal);
  store.on("jobs", (change) => (!change || change.job?.watch) && load(), signal);
  load();
}

function watchRow(watch) {
  const name = h("p.name"),
    about = h("p.about"),
    wrong = h("p.error"),
    hold = h("button", { type: "button" });
  const path = `/watches/${encodeURIComponent(watch.id)}`;
  const remove = h(
    "button",
    {
      type: "button",
      onclick: async () => {
        if (await confirmed("Watch this folder no longer?", `Nothing in ${watch.folder} is deleted.`, "Stop watching"))
          attempt(() => call("DELETE", path));
      },
    },
    "Remove",
  );
  const element = h("li.watch", {}, h("div.grow", {}, name, about, wrong), h("div.actions", {}, hold, remove));
  element.update = (now) => {
    say(name, `${now.folder} → ${now.output_folder}`);
    say(
      about,
      [
        now.preset ? `preset ${now.preset}` : inShort(now.settings),
        counted(now.made, "video") + " made",
        `${now.waiting} waiting`,
        `${now.failed} failed`,
        now.paused && "held",
      ]
        .filter(Boolean)
        .join(" · "),
    );
    say(wrong, now.error ? sentence(now.error) : "");
    say(hold, now.paused ? "Go on" : "Hold");
    hold.onclick = () => attempt(() => call("PATCH", path, { body: { paused: !now.paused } }));
  };
  return element;
}

function watchForm(store, draft, signal) {
  const from = folderField("watch-from", "Folder to watch"),
    to = folderField("watch-to", "Folder for results");
  const preset = h("select", { id: "watch-preset" }),
    wrong = h("p.error", { role: "alert" });
  const send = async (event) => {
    event.preventDefault();
    say(wrong, "");
    const chosen =
      preset.value === " "
        ? { settings: draft.settings, preset: null }
        : { settings: {}, preset: preset.value || null };
    try {
      await post("/watches", { folder: from.input.value.trim(), output_folder: to.input.value.trim(), ...chosen });
      [from.input.value, to.input.value] = ["", ""];
    } catch (problem) {
      say(wrong, sentence(problem));
    }
  };
  const update = () =>
    fill(
      preset,
      h("option", { value: "" }, "Default settings"),
      Object.keys(draft.settings).length
        ? h("option", { value: " " }, `As last chosen: ${inShort(draft.settings)}`)
        : null,
      store.presets.map(({ name }) => h("option", { value: name }, name)),
    );
  store.on("presets", update, signal);
  update();
  return h(
    "form.card.stack",
    { onsubmit: send },
    h("h2", {}, "Watch another folder"),
    h(
      "div.field-grid",
      {},
      from.element,
      to.element,
      h("div.field", {}, h("label", { for: "watch-preset" }, "Settings"), preset),
    ),
    wrong,
    h("div.actions", {}, h("button.primary", { type: "submit" }, "Watch")),
  );
}

function folderField(id, label) {
  const input = h("input", { type: "text", id, required: true, spellcheck: "false", autocomplete: "off" });
  const choose = async () => {
    const [found] = await pick({ folders: true });
    if (found) input.value = found.path;
  };
  return {
    input,
    element: h(
      "div.field",
      {},
      h("label", { for: id }, label),
      h("div.row-tight", {}, input, h("button", { type: "button", onclick: () => attempt(choose) }, "Choose ...")),
    ),
  };
}
