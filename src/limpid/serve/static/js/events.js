import { ApiError } from "./api.js";

const NUMBERED = ["job", "segment", "removed", "queue", "presets", "watches", "comparison"];
const AGAIN_MS = 1500;

/**
 * The stream of events: connects, loads what is there, applies what happens, and goes on after the server was away. The
 * browser itself connects again and says which event it saw last.
 */
export class Live {
  /** @param {import("./store.js").Store} store @param {(there: boolean) => void} connected */
  constructor(store, connected) {
    Object.assign(this, { store, connected, server: null, last: null, waiting: null });
  }

  start() {
    this.source = new EventSource(`/api/v1/events${this.last === null ? "" : `?after=${this.last}`}`);
    this.source.addEventListener("hello", (event) => this.hello(JSON.parse(event.data)));
    this.source.addEventListener("progress", (event) => this.take("progress", JSON.parse(event.data)));
    this.source.addEventListener("reset", () => this.load());
    for (const name of NUMBERED) this.source.addEventListener(name, (event) => this.numbered(name, event));
    this.source.onerror = () => this.lost();
  }

  lost() {
    this.connected(false);
    if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.start(), AGAIN_MS);
  }

  hello({ last, server }) {
    this.connected(true);
    this.last ??= last;
    if (this.server !== server) this.load();
    this.server = server;
  }

  numbered(name, event) {
    if (event.lastEventId) this.last = Number(event.lastEventId);
    this.take(name, JSON.parse(event.data));
  }

  /** While everything is being loaded events wait, so that no older state comes after a newer one. */
  take(name, data) {
    if (this.waiting) this.waiting.push([name, data]);
    else this.apply(name, data);
  }

  async load() {
    if (this.waiting) return;
    this.waiting = [];
    try {
      await this.store.load();
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setTimeout(() => this.load(), AGAIN_MS);
    }
    const waited = this.waiting;
    this.waiting = null;
    for (const [name, data] of waited) this.apply(name, data);
  }

  apply(name, data) {
    const { store } = this;
    if (name === "job") store.put(data);
    else if (name === "removed") store.drop(data.id);
    else if (name === "progress") store.progress(data);
    else if (name === "segment") store.segment(data);
    else if (name === "queue") store.setQueue(data);
    else if (name === "presets") store.loadPresets();
    else store.tell(name, data);
  }
}
