import { get, query } from "./api.js";
import { openDialog } from "./dialog.js";
import { fill, h, icon, say } from "./dom.js";
import { bytes, counted, inShort, when } from "./format.js";
import { attempt } from "./notices.js";

/**
 * Chooses files of the machine that the server runs on, inside its folders.
 * @param {{folders?: boolean}} options `folders`: one folder is chosen, nothing else
 * @returns {Promise<{path: string, size_bytes: number}[]>} empty when it was closed
 */
export function pick({ folders = false } = {}) {
  return new Promise((resolve) => new Picker(folders, resolve).open());
}

const KINDS = { folder: "folder", video: "film", image: "image" };

class Picker {
  constructor(folders, resolve) {
    Object.assign(this, { folders, resolve, chosen: new Map(), path: null, answer: [] });
    this.crumbs = h("nav.crumbs", { "aria-label": "Folders above" });
    this.list = h("ul.files", { "aria-label": "Files" });
    this.count = h("span.quiet", { role: "status" });
    this.use = h("button.primary", { type: "button", onclick: () => this.done() }, folders ? "Use this folder" : "Add");
    this.every = h("button", { type: "button", onclick: () => this.chooseAll() }, "All videos here");
  }

  open() {
    const tabs = this.folders
      ? null
      : h(
          "div.tabs",
          { role: "group", "aria-label": "Where from" },
          this.tab("Folders", () => this.go(this.path)),
          this.tab("Finished results", () => this.results()),
        );
    const foot = h("div.actions", {}, this.count, this.folders ? null : this.every, this.use);
    const title = this.folders ? "Choose a folder" : "Choose videos on this machine";
    this.dialog = openDialog(title, [tabs, this.crumbs, this.list, foot], {
      wide: true,
      onclose: () => this.resolve(this.answer),
    });
    this.go(localStorage.getItem("limpid.folder"));
  }

  tab(label, onclick) {
    const made = h("button.tab", { type: "button", "aria-pressed": String(label === "Folders") }, label);
    made.addEventListener("click", () => {
      for (const other of made.parentElement.children) other.setAttribute("aria-pressed", String(other === made));
      onclick();
    });
    return made;
  }

  /** Shows a folder; null: the list of those there are. */
  async go(path) {
    const found = await get(`/files${query({ path })}`).catch((problem) => (path ? null : Promise.reject(problem)));
    if (!found) return this.go(null);
    this.path = found.path;
    localStorage.setItem("limpid.folder", found.path ?? "");
    this.showCrumbs(found);
    const rows = found.entries
      .filter((entry) => !this.folders || entry.kind === "folder")
      .map((entry) => this.row(entry));
    if (found.clip && !this.folders) rows.unshift(this.clipRow(found));
    fill(
      this.list,
      rows.length ? rows : h("li.empty", {}, this.folders ? "No folders in here." : "No videos or images in here."),
    );
    if (found.truncated) this.list.append(h("li.empty", {}, "There are more; only the first 2000 are shown."));
    this.entries = found.entries;
    return this.tell();
  }

  showCrumbs(found) {
    const up = (name, path) => h("button.link", { type: "button", onclick: () => attempt(() => this.go(path)) }, name);
    fill(
      this.crumbs,
      up("All folders", null),
      (found.crumbs ?? []).map(({ name, path }) => [h("span", { "aria-hidden": "true" }, "/"), up(name, path)]),
    );
  }

  row(entry) {
    if (entry.kind === "folder") {
      const open = h(
        "button.file",
        { type: "button", onclick: () => attempt(() => this.go(entry.path)) },
        icon("folder"),
        h("span.name", {}, entry.name),
      );
      return h("li", {}, open);
    }
    return this.choice(
      entry,
      KINDS[entry.kind],
      `${bytes(entry.size_bytes)} · ${when(entry.modified_at)}${entry.result ? " · made by Limpid" : ""}`,
    );
  }

  clipRow(found) {
    const about = { path: found.path, name: "This folder of images, as one clip", size_bytes: 0, kind: "folder" };
    return this.choice(about, "film", "all images in here, in the order of their names");
  }

  choice(entry, drawing, about) {
    const box = h("input", {
      type: "checkbox",
      checked: this.chosen.has(entry.path),
      onchange: () => this.choose(entry, box.checked),
    });
    box.dataset.path = entry.path;
    return h(
      "li",
      {},
      h("label.file", {}, box, icon(drawing), h("span.name", {}, entry.name), h("span.quiet", {}, about)),
    );
  }

  choose(entry, wanted) {
    if (wanted) this.chosen.set(entry.path, entry);
    else this.chosen.delete(entry.path);
    this.tell();
  }

  chooseAll() {
    for (const entry of this.entries ?? [])
      if (entry.kind === "video" && !entry.result) this.chosen.set(entry.path, entry);
    for (const box of this.list.querySelectorAll("input")) box.checked = this.chosen.has(box.dataset.path);
    this.tell();
  }

  async results() {
    fill(this.crumbs);
    const { jobs } = await get(`/jobs${query({ state: "done", kind: "upscale", limit: 50 })}`);
    const rows = jobs
      .filter((job) => job.result?.exists)
      .map((job) =>
        this.choice(
          {
            path: job.output,
            name: job.output.split("/").pop(),
            size_bytes: job.result.size_bytes,
            kind: "video",
            result: true,
          },
          "film",
          `${bytes(job.result.size_bytes)} · ${inShort(job.settings)} · ${when(job.ended_at)}`,
        ),
      );
    this.entries = [];
    fill(this.list, rows.length ? rows : h("li.empty", {}, "No results yet."));
    this.tell();
  }

  tell() {
    this.use.disabled = this.folders ? !this.path : this.chosen.size === 0;
    say(
      this.count,
      this.folders ? (this.path ?? "") : this.chosen.size ? `${counted(this.chosen.size, "file")} chosen` : "",
    );
  }

  done() {
    this.answer = this.folders ? [{ path: this.path, size_bytes: 0 }] : [...this.chosen.values()];
    this.dialog.close();
  }
}
