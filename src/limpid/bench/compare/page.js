import { Player } from "../../viewer/player.js";

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const NAMES = [
  "film",
  "screen",
  "stage",
  "edge",
  "wipe",
  "seek",
  "now",
  "play",
  "back",
  "next",
  "mode",
  "part",
  "speed",
  "loop",
  "trouble",
  "closer",
  "wider",
  "zoom",
];
const parts = Object.fromEntries(NAMES.map((name) => [name, $(name)]));
Object.assign(parts, { nameLeft: $("name-left"), nameRight: $("name-right") });
for (const n of data.crops.keys()) $("part").add(new Option(`crop ${n + 1}`, n));
const player = new Player(parts, data, moveCursors),
  { clock } = player;

/** The line of the curves at the frame that is shown. */
function moveCursors(frame) {
  for (const chart of document.querySelectorAll(".chart")) {
    const from = Number(chart.dataset.left),
      to = Number(chart.dataset.right),
      last = data.frames - 1;
    const x = from + (to - from) * (last ? frame / last : 0);
    chart.querySelector(".now").setAttribute("x1", x);
    chart.querySelector(".now").setAttribute("x2", x);
  }
}

function named() {
  player.stage.choose(Number($("left").value), Number($("right").value));
}

function choose(side, n) {
  if (n >= data.labels.length) return;
  $(side).value = n;
  named();
}

function swap() {
  [$("left").value, $("right").value] = [$("right").value, $("left").value];
  named();
}

function onKey(event) {
  if (player.onKey(event) || event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select")) return;
  const digit = /^Digit([1-9])$/.exec(event.code);
  if (digit) choose(event.shiftKey ? "right" : "left", digit[1] - 1);
  else if (event.key === "s" || event.key === "S") swap();
  else return;
  event.preventDefault();
}

function fromChart(chart, event) {
  const box = chart.getBoundingClientRect(),
    x = ((event.clientX - box.left) * chart.viewBox.baseVal.width) / box.width;
  clock.pauseAt(
    Math.round(((data.frames - 1) * (x - chart.dataset.left)) / (chart.dataset.right - chart.dataset.left)),
  );
}

function ready() {
  if (document.documentElement.dataset.ready) return;
  player.start();
  document.documentElement.dataset.ready = "yes";
}

/** Some browsers cannot seek in a data URI, but in a blob with the same bytes. */
function asBlob() {
  const { film } = parts,
    text = atob(film.src.slice(film.src.indexOf(",") + 1));
  film.onerror = () =>
    player.complain(
      "This browser cannot play the embedded H.264 video. Crops, curves, profiles and heat maps are below.",
    );
  film.src = URL.createObjectURL(new Blob([Uint8Array.from(text, (c) => c.charCodeAt(0))], { type: "video/mp4" }));
}

$("left").onchange = $("right").onchange = named;
$("right").value = Math.min(1, data.labels.length - 1);
$("swap").onclick = swap;
document.addEventListener("keydown", onKey);
for (const chart of document.querySelectorAll(".chart")) chart.onclick = (event) => fromChart(chart, event);
for (const button of document.querySelectorAll("[data-crop]"))
  button.onclick = () => player.showCrop(Number(button.dataset.crop));
parts.film.onerror = asBlob;
parts.film.addEventListener("loadeddata", ready);
named();
if (parts.film.readyState >= 2) ready();
