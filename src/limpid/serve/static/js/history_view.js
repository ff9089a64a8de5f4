import { get, query } from "./api.js";
import { fill, h, keyed, say } from "./dom.js";
import { counted } from "./format.js";
import { jobRow } from "./job_row.js";
import { attempt } from "./notices.js";
import { ENDED } from "./store.js";

const TYPING_MS = 250;
const PAGE = 50;

/** All jobs that ended, with search. @type {import("./main.js").View} */
export function historyView({ store, main, signal }) {
  const search = h("input", {
    type: "search",
    id: "search",
    placeholder: "Name, method or error",
    autocomplete: "off",
  });
  const state = h(
    "select",
    { "aria-label": "Which" },
    h("option", { value: ENDED.join(",") }, "All"),
    ENDED.map((name) => h("option", { value: name }, name.charAt(0).toUpperCase() + name.slice(1))),
  );
  const list = h("ul.jobs", { "aria-label": "Jobs" }),
    count = h("p.quiet", { role: "status" }),
    empty = h("p.empty", { hidden: true }, "Nothing was found.");
  const more = h("button", { type: "button", hidden: true }, "Older ones");
  fill(
    main,
    h(
      "div.page-head",
      {},
      h("div", {}, h("h1", {}, "History"), count),
      h("div.row-tight", {}, h("label.unseen", { for: "search" }, "Search"), search, state),
    ),
    list,
    empty,
    more,
  );
  let jobs = [],
    next = null,
    timer = 0,
    asked = null;
  const load = (further) =>
    attempt(async () => {
      asked?.abort();
      asked = new AbortController();
      const found = await get(
        `/jobs${query({ state: state.value, search: search.value.trim(), kind: "upscale", limit: PAGE, before: further ? next : null })}`,
        asked.signal,
      );
      jobs = further ? [...jobs, ...found.jobs] : found.jobs;
      next = found.next;
      keyed(
        list,
        jobs,
        (job) => job.id,
        (job) => jobRow(job),
      );
      [more.hidden, empty.hidden] = [!next, jobs.length > 0];
      say(count, counted(found.total, "job"));
    });
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => load(false), TYPING_MS);
  };
  search.addEventListener("input", soon);
  state.addEventListener("change", () => load(false));
  more.addEventListener("click", () => load(true));
  store.on("jobs", soon, signal);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    asked?.abort();
  });
  load(false);
}
