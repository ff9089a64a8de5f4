import { get, onDenied } from "./api.js";
import { fill, h, say } from "./dom.js";
import { Draft } from "./draft.js";
import { Live } from "./events.js";
import { historyView } from "./history_view.js";
import { jobView } from "./job_view.js";
import { enter, useTokenOfAddress } from "./login.js";
import { newView } from "./new_view.js";
import { notice, sentence } from "./notices.js";
import { queueView } from "./queue_view.js";
import { Store } from "./store.js";
import { watchView } from "./watch_view.js";

/**
 * A view fills the main element and listens until its signal is given.
 * @typedef {(context: {store: Store, draft: Draft, main: HTMLElement, signal: AbortSignal, id?: string}) => void} View
 */

/** @type {[RegExp, View, string][]} */
const ROUTES = [
  [/^#?\/?$/, queueView, "Queue"],
  [/^#\/new$/, newView, "Add videos"],
  [/^#\/history$/, historyView, "History"],
  [/^#\/watch$/, watchView, "Watch folders"],
  [/^#\/jobs\/([\w-]+)$/, jobView, "Job"],
];

const store = new Store(),
  draft = new Draft(store),
  main = document.getElementById("main");
let leave = new AbortController();

function show(first = false) {
  const hash = location.hash,
    [pattern, view, title] = ROUTES.find(([each]) => each.test(hash)) ?? ROUTES[0];
  leave.abort();
  leave = new AbortController();
  fill(main);
  document.title = `${title} · Limpid`;
  for (const link of document.querySelectorAll("#nav a")) {
    const here = (link.getAttribute("href") === "#/" ? /^#?\/?$/ : new RegExp(`^${link.getAttribute("href")}`)).test(
      hash,
    );
    link.toggleAttribute("aria-current", here);
    if (here) link.setAttribute("aria-current", "page");
  }
  view({ store, draft, main, signal: leave.signal, id: pattern.exec(hash)?.[1] });
  if (!first) {
    main.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
}

function tellEnds({ job, before } = {}) {
  if (!job || !before || before.state === job.state || job.kind !== "upscale") return;
  if (job.state === "done") notice(`${job.name} is done.`, "good");
  if (job.state === "failed") notice(`${job.name}: ${sentence(job.error ?? "it failed")}`, "error");
}

async function start() {
  await useTokenOfAddress();
  const { token_needed: needed, authenticated } = await get("/health");
  if (needed && !authenticated) await enter();
  onDenied.call = enter;
  await store.begin();
  say(document.getElementById("about"), `Limpid ${store.server.version}`);
  const offline = document.getElementById("offline");
  new Live(store, (there) => {
    offline.hidden = there;
  }).start();
  store.addEventListener("jobs", (event) => tellEnds(event.detail ?? undefined));
  window.addEventListener("hashchange", () => show());
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
  window.addEventListener("drop", (event) => draft.drop(event.dataTransfer));
  show(true);
  document.documentElement.dataset.ready = "yes";
}

start().catch((problem) => {
  fill(main, h("p.error-box", { role: "alert" }, `The page could not start: ${problem.message}`));
  throw problem;
});
