import { post } from "./api.js";
import { h, say } from "./dom.js";
import { openDialog } from "./dialog.js";
import { sentence } from "./notices.js";

let asking = null;

/** The address that the server printed ends in its token; it is used once and taken away. */
export async function useTokenOfAddress() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, "", location.pathname);
  await post("/session", { token: decodeURIComponent(found[1]) }).catch(() => {});
}

/** Asks for the token until it is right. */
export function enter() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

function ask() {
  return new Promise((resolve) => {
    const field = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
    const wrong = h("p.error", { role: "alert" });
    const send = async (event) => {
      event.preventDefault();
      try {
        await post("/session", { token: field.value });
        dialog.close();
      } catch (problem) {
        say(wrong, sentence(problem));
      }
    };
    const form = h(
      "form.stack",
      { onsubmit: send },
      h("label", { for: "token" }, "Token"),
      field,
      wrong,
      h("p.quiet", {}, "The server printed it when it started."),
      h("div.actions", {}, h("button.primary", { type: "submit" }, "Continue")),
    );
    const dialog = openDialog("This server asks for its token", [form], { onclose: resolve });
    dialog.addEventListener("cancel", (event) => event.preventDefault());
  });
}
