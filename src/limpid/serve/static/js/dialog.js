import { h, iconButton } from "./dom.js";

/**
 * Opens a dialog over the page, which gives the focus back when it is closed.
 * @param {string} title @param {import("./dom.js").Child[]} content
 * @param {{wide?: boolean, onclose?: () => void}} [options]
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, content, { wide = false, onclose = () => {} } = {}) {
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      `dialog${wide ? ".wide" : ""}`,
      { "aria-label": title },
      h(
        "div.dialog-head",
        {},
        h("h2", {}, title),
        iconButton("close", "Close", () => dialog.close()),
      ),
      ...content,
    )
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    onclose();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks before something that cannot be undone. @returns {Promise<boolean>} */
export function confirmed(title, text, yes) {
  return new Promise((resolve) => {
    let answer = false;
    const sure = h(
      "button.danger",
      {
        type: "button",
        onclick: () => {
          answer = true;
          dialog.close();
        },
      },
      yes,
    );
    const no = h("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Keep it");
    const dialog = openDialog(title, [h("p", {}, text), h("div.actions", {}, no, sure)], {
      onclose: () => resolve(answer),
    });
  });
}
