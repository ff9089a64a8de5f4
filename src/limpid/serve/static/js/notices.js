import { h, iconButton } from "./dom.js";

const SHOWN_MS = 6000;

/** Says something at the edge of the page, to those who listen too. Errors stay until they are closed. */
export function notice(text, kind = "plain") {
  const box = h(`div.toast.${kind}`, {}, h("span", {}, text));
  box.append(iconButton("close", "Close", () => box.remove()));
  document.getElementById("toasts").append(box);
  if (kind !== "error") setTimeout(() => box.remove(), SHOWN_MS);
}

/** Runs what a control does, and says what went wrong. @param {() => Promise<any>} action */
export async function attempt(action) {
  try {
    return await action();
  } catch (problem) {
    if (problem.name !== "AbortError") notice(sentence(problem), "error");
    return undefined;
  }
}

/** An error's sentence with a capital letter and a full stop. */
export function sentence(problem) {
  const text = String(problem.message ?? problem);
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** Copies a text; without TLS browsers only know the old way. */
export async function copy(text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else {
    const area = h("textarea", { value: text, class: "unseen" });
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  notice("Copied.");
}
