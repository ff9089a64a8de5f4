import { ApiError } from "./api.js";
import { droppedFiles, sorted } from "./dropped.js";
import { baseName } from "./format.js";
import { notice, sentence } from "./notices.js";
import { upload } from "./uploads.js";

const KEPT = "limpid.settings";

/**
 * Something that is to become a job.
 * @typedef {object} Input
 * @property {string} key @property {string} name @property {string | null} path null while it is being uploaded
 * @property {number} size_bytes @property {number} [received] @property {string} [error] @property {AbortController} [stop]
 */

/** The jobs that are being prepared: files, settings and where to. It outlives the views, and settings outlive the page. */
export class Draft extends EventTarget {
  /** @param {import("./store.js").Store} store */
  constructor(store) {
    super();
    /** @type {Input[]} */
    this.inputs = [];
    this.store = store;
    /** @type {Record<string, any>} what differs from the defaults */
    this.settings = kept();
    this.preset = null;
    this.where = { kind: "beside", path: "" };
    this.overwrite = false;
    this.last = Promise.resolve();
  }

  changed(topic) {
    localStorage.setItem(KEPT, JSON.stringify(this.settings));
    this.dispatchEvent(new Event(topic));
  }

  /** @param {string} path @param {number} [size_bytes] */
  addPath(path, size_bytes = 0) {
    if (this.inputs.some((input) => input.path === path)) return;
    this.inputs.push({ key: path, name: baseName(path), path, size_bytes });
    this.changed("inputs");
  }

  /** Takes what was dropped on the page, and shows where it goes. */
  async drop(transfer) {
    if (!transfer?.types.includes("Files")) return;
    this.addFiles(await droppedFiles(transfer));
    location.hash = "#/new";
  }

  /** Uploads files one after the other; images of one folder are one clip. @param {import("./dropped.js").Dropped[]} files */
  addFiles(files) {
    const { suffixes } = this.store.server,
      { clips, refused } = sorted(files, suffixes);
    if (refused.length)
      notice(
        `Left out, because they are no videos or images: ${refused.slice(0, 3).join(", ")}${refused.length > 3 ? " ..." : ""}`,
        "error",
      );
    for (const clip of clips) this.inputs.push(this.uploading(clip));
    this.changed("inputs");
  }

  uploading(clip) {
    const size = clip.files.reduce((sum, file) => sum + file.size, 0),
      stop = new AbortController();
    const input = {
      key: `upload-${clip.name}-${Math.random()}`,
      name: clip.name,
      path: null,
      size_bytes: size,
      received: 0,
      stop,
    };
    this.last = this.last.then(() => this.send(clip, input));
    return input;
  }

  async send(clip, input) {
    if (input.stop.signal.aborted) return;
    const told = (received) => {
      input.received = received;
      this.dispatchEvent(new Event("uploads"));
    };
    try {
      input.path = await upload(clip, this.store.server.limits, told, input.stop.signal);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      input.error = sentence(problem);
      if (!(problem instanceof ApiError)) throw problem;
    } finally {
      this.changed("inputs");
    }
  }

  /** Takes away what was not wanted, and what was uploaded of it. @param {Input} input */
  remove(input) {
    input.stop?.abort();
    this.taken(input);
  }

  /** Takes away what has become a job. @param {Input} input */
  taken(input) {
    this.inputs = this.inputs.filter((other) => other !== input);
    this.changed("inputs");
  }

  clear() {
    this.inputs = [];
    this.changed("inputs");
  }

  /** Changes one setting; its default takes it away. */
  set(name, value) {
    const { [name]: _, preset_name: __, ...rest } = this.settings,
      property = this.store.schema.properties[name];
    this.use(value === property.default || value === undefined ? rest : { ...rest, [name]: value }, null);
  }

  /** Puts other settings in place of all. @param {string | null} preset the name they are known by */
  use(settings, preset) {
    this.settings = settings;
    this.preset = preset;
    this.changed("settings");
  }

  to(where) {
    this.where = { ...this.where, ...where };
    this.changed("settings");
  }

  /** Whether results that exist are replaced. */
  replace(wanted) {
    this.overwrite = wanted;
    this.changed("settings");
  }

  /** Starts from a job that was, with its settings. @param {import("./store.js").Job} job */
  again(job) {
    this.inputs = [];
    this.where = { kind: "beside", path: "" };
    this.overwrite = false;
    const { preset_name: name = null, ...settings } = job.settings;
    this.use(settings, name);
    this.use(settings, this.named());
    this.addPath(job.input);
    location.hash = "#/new";
  }

  /** The preset that the settings are, as it is kept now. @returns {string | null} */
  named() {
    const found = this.store.presets.find(({ name }) => name === this.preset);
    return found && same(found.settings, this.settings) ? found.name : null;
  }

  /** What the server is asked to do with one input. @param {Input} input */
  body(input) {
    const { path } = this.where,
      kind = this.where.kind === "file" && this.inputs.length > 1 ? "beside" : this.where.kind;
    const output = kind === "beside" || !path ? null : kind === "folder" ? `${path.replace(/\/+$/, "")}/` : path;
    return { input: input.path, output, settings: this.settings, preset: this.named(), overwrite: this.overwrite };
  }

  /** Those that are whole. */
  ready() {
    return this.inputs.filter((input) => input.path);
  }
}

const same = (one, other) => JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());

function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT));
    return found && typeof found === "object" && !Array.isArray(found) ? found : {};
  } catch {
    return {};
  }
}
