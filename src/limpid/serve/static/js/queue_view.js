import { call } from "./api.js";
import { fill, h, keyed, say, set } from "./dom.js";
import { counted, lasting } from "./format.js";
import { jobRow } from "./job_row.js";
import { sources } from "./new_view.js";
import { attempt } from "./notices.js";
import { dragging, moved } from "./reorder.js";

/** What runs, what waits, what ended last. @type {import("./main.js").View} */
export function queueView({ store, draft, main, signal }) {
  const lists = {
    running: h("ul.jobs"),
    waiting: h("ul.jobs", { "aria-label": "Waiting jobs, in their order" }),
    recent: h("ul.jobs"),
  };
  const parts = {
    running: part("Running", lists.running),
    waiting: part("Waiting", lists.waiting),
    recent: part("Finished last", lists.recent, h("a", { href: "#/history" }, "All of them")),
  };
  const count = h("p.quiet", { role: "status" }),
    empty = h("p.empty", {}, "Nothing is waiting. What you add appears here, in every open page.");
  fill(
    main,
    h("div.page-head", {}, h("div", {}, h("h1", {}, "Queue"), count), queueControls(store, signal)),
    sources(draft, true),
    parts.running,
    parts.waiting,
    empty,
    parts.recent,
  );
  const order = orderer(store);
  const move = (id, by) =>
    order(
      moved(
        store.waiting().map((job) => job.id),
        id,
        by,
      ),
    );
  dragging(lists.waiting, order, signal);
  const update = () => {
    const found = { running: store.among("running"), waiting: store.waiting(), recent: store.recent() };
    for (const [name, jobs] of Object.entries(found)) {
      parts[name].hidden = !jobs.length;
      keyed(
        lists[name],
        jobs,
        (job) => job.id,
        (job) => jobRow(job, name === "waiting" ? { move } : {}),
      );
    }
    empty.hidden = found.running.length + found.waiting.length > 0;
    say(count, wordsOf(found, store.queue.paused));
  };
  for (const topic of ["jobs", "queue"]) store.on(topic, update, signal);
  for (const topic of ["progress", "segment"]) store.on(topic, (job) => refresh(lists.running, job), signal);
  update();
}

/** Gives the queue another order: here at once, so that quick clicks add up, and on the server one after the other. */
function orderer(store) {
  let last = Promise.resolve();
  return (ids) => {
    store.setQueue({ ...store.queue, order: ids });
    last = last.then(() => attempt(() => call("PUT", "/queue", { body: { order: ids } })));
  };
}

function refresh(list, job) {
  [...list.children].find((row) => row.dataset.key === job.id)?.update(job);
}

function part(title, list, more = null) {
  return h("section", {}, h("div.section-head", {}, h("h2", {}, title), more), list);
}

function wordsOf({ running, waiting }, paused) {
  const left = running.length === 1 ? running[0].progress?.eta_s : null;
  const words = [
    running.length && `${counted(running.length, "job")} running`,
    waiting.length && `${waiting.length} waiting`,
    paused && "the queue is stopped",
    left && `about ${lasting(left)} left for this one`,
  ];
  return words.filter(Boolean).join(", ") || "Ready.";
}

/** How many at once, and whether any is started at all. */
function queueControls(store, signal) {
  const patch = (body) => attempt(async () => store.setQueue(await call("PATCH", "/queue", { body })));
  const most = h("input", {
    type: "number",
    id: "at-once",
    min: 1,
    max: 16,
    onchange: () => patch({ at_once: Number(most.value) }),
  });
  const stop = h("button", { type: "button", onclick: () => patch({ paused: !store.queue.paused }) });
  const update = () => {
    most.value = store.queue.at_once;
    say(stop, store.queue.paused ? "Start the queue" : "Stop the queue");
    set(stop, {
      title: store.queue.paused ? "Begin with waiting jobs again" : "Start no more jobs; what runs goes on",
    });
  };
  store.on("queue", update, signal);
  update();
  return h("div.row-tight", {}, h("label", { for: "at-once" }, "Jobs at once"), most, stop);
}
