import { get, query } from "./api.js";

/**
 * A job as the server tells it; see docs/serve-api.md.
 * @typedef {object} Job
 * @property {string} id @property {"upscale" | "preview"} kind
 * @property {"queued" | "running" | "paused" | "done" | "failed" | "cancelled"} state
 * @property {string} input @property {string} output @property {string} name @property {Record<string, any>} settings
 */

export const ACTIVE = ["running", "queued", "paused"];
export const ENDED = ["done", "failed", "cancelled"];
const RECENT = 5;

/** What the page knows of the server. Tells topics to those who listen: jobs, progress, queue, presets, watches, comparison. */
export class Store extends EventTarget {
  constructor() {
    super();
    /** @type {Map<string, Job>} those that wait or run, and any other that was told of */
    this.jobs = new Map();
    this.queue = { order: [], running: [], at_once: 1, paused: false };
    this.server = null;
    this.schema = null;
    this.methods = {};
    this.presets = [];
  }

  /** Listens until the signal is given. @param {string} topic @param {(detail: any) => void} heard @param {AbortSignal} signal */
  on(topic, heard, signal) {
    this.addEventListener(topic, (event) => heard(event.detail), { signal });
  }

  tell(topic, detail) {
    this.dispatchEvent(new CustomEvent(topic, { detail }));
  }

  /** What does not change while the page is open. */
  async begin() {
    const [server, schema, { methods }] = await Promise.all([get("/server"), get("/settings/schema"), get("/methods")]);
    Object.assign(this, { server, schema, methods });
    await this.loadPresets();
  }

  async loadPresets() {
    this.presets = (await get("/presets")).presets;
    this.tell("presets");
  }

  /** Everything that lives, anew. */
  async load() {
    const [queue, active, recent] = await Promise.all([get("/queue"), everyJob({ state: ACTIVE.join(",") }), newest()]);
    this.jobs = new Map([...active, ...recent].map((job) => [job.id, job]));
    this.queue = queue;
    this.tell("jobs");
    this.tell("queue");
  }

  /** One job, asked for where it is not known. @returns {Promise<Job>} */
  async job(id) {
    if (!this.jobs.has(id)) this.jobs.set(id, await get(`/jobs/${encodeURIComponent(id)}`));
    return this.jobs.get(id);
  }

  /** @param {Job} job */
  put(job) {
    const before = this.jobs.get(job.id);
    this.jobs.set(job.id, job);
    this.tell("jobs", { job, before });
  }

  drop(id) {
    this.jobs.delete(id);
    this.tell("jobs", { removed: id });
  }

  progress({ id, progress }) {
    const job = this.jobs.get(id);
    if (!job) return;
    job.progress = progress;
    this.tell("progress", job);
  }

  segment({ id, index, of }) {
    const job = this.jobs.get(id);
    if (!job) return;
    job.segments = { done: Math.max(job.segments?.done ?? 0, index + 1), of };
    this.tell("segment", job);
  }

  setQueue(queue) {
    this.queue = queue;
    queue.order.forEach((id, place) => {
      if (this.jobs.has(id)) this.jobs.get(id).position = place;
    });
    this.tell("queue");
  }

  /** Jobs of one's own, not previews, in some states. @returns {Job[]} */
  among(...states) {
    return [...this.jobs.values()].filter((job) => job.kind === "upscale" && states.includes(job.state));
  }

  /** Those that wait, in the order in which they come. */
  waiting() {
    const place = (job) => job.position ?? Infinity;
    return this.among("queued", "paused").sort((a, b) => place(a) - place(b) || a.created_at - b.created_at);
  }

  /** The newest that ended. */
  recent() {
    return this.among(...ENDED)
      .sort((a, b) => (b.ended_at ?? 0) - (a.ended_at ?? 0))
      .slice(0, RECENT);
  }
}

async function newest() {
  return (await get(`/jobs${query({ state: ENDED.join(","), kind: "upscale", limit: RECENT })}`)).jobs;
}

async function everyJob(filter) {
  const found = [];
  let before = null;
  do {
    const part = await get(`/jobs${query({ ...filter, kind: "upscale", limit: 100, before })}`);
    found.push(...part.jobs);
    before = part.next;
  } while (before);
  return found;
}
