/**
 * Dragging rows of a list to another place by their grips; buttons do the same for keyboards and fingers.
 * @param {HTMLElement} list of children with `data-key` @param {(keys: string[]) => void} ordered the new order
 * @param {AbortSignal} signal
 */
export function dragging(list, ordered, signal) {
  let held = null;
  const keys = () => [...list.children].map((row) => row.dataset.key);
  list.addEventListener(
    "dragstart",
    (event) => {
      held = event.target.closest?.(".grip")?.closest("li");
      if (!held) return;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", held.dataset.key);
      event.dataTransfer.setDragImage(held, 12, 24);
      held.classList.add("held");
    },
    { signal },
  );
  list.addEventListener(
    "dragover",
    (event) => {
      if (!held) return;
      event.preventDefault();
      const over = event.target.closest?.("li");
      if (!over || over === held || over.parentElement !== list) return;
      const box = over.getBoundingClientRect(),
        below = event.clientY > box.top + box.height / 2;
      over[below ? "after" : "before"](held);
    },
    { signal },
  );
  list.addEventListener(
    "dragend",
    () => {
      if (!held) return;
      held.classList.remove("held");
      held = null;
      ordered(keys());
    },
    { signal },
  );
}

/** The order with one moved by some places. @param {string[]} order @param {string} id @param {number} by */
export function moved(order, id, by) {
  const from = order.indexOf(id),
    to = Math.min(order.length - 1, Math.max(0, from + by)),
    rest = order.filter((each) => each !== id);
  return [...rest.slice(0, to), id, ...rest.slice(to)];
}
