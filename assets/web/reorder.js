// Lines that are dragged to another place, with a mouse, a finger or a pen. The browser's own drag and drop knows no fingers.
const FAR = 6, EDGE = 40;

/** `list` holds items with an id in `data-item`; `mayMove()` tells whether they can be moved; `move(id, before)` is told where
 *  one was let go: before which other, or null for the end. A finger drags by the `.grip`, and scrolls elsewhere. */
export function makeSortable(list, mayMove, move) {
  let dragged = null;

  const rows = () => [...list.children].filter((row) => row.dataset.item);
  const rowAt = (event) => event.target.closest("[data-item]");

  /** The item before which it would land; undefined where nothing would change. */
  function target(y) {
    const all = rows(), at = all.findIndex((row) => row.dataset.item === dragged.id);
    const below = all.findIndex((row) => { const box = row.getBoundingClientRect(); return y < box.top + box.height / 2; });
    const place = below < 0 ? all.length : below;
    return place === at || place === at + 1 ? undefined : all[place]?.dataset.item ?? null;
  }

  function mark() {
    for (const row of rows()) {
      row.classList.toggle("is-dragged", Boolean(dragged?.isMoving) && row.dataset.item === dragged.id);
      row.classList.toggle("is-target", Boolean(dragged?.isMoving) && row.dataset.item === dragged.before);
    }
    list.classList.toggle("is-target-end", Boolean(dragged?.isMoving) && dragged.before === null);
  }

  function scroll() {
    if (!dragged?.isMoving) return;
    const box = list.getBoundingClientRect();
    const by = dragged.y < box.top + EDGE ? -8 : dragged.y > box.bottom - EDGE ? 8 : 0;
    if (by) { list.scrollBy(0, by); dragged.before = target(dragged.y); mark(); }
    requestAnimationFrame(scroll);
  }

  function end() {
    dragged = null;
    mark();
  }

  list.addEventListener("pointerdown", (event) => {
    const row = rowAt(event);
    const isMine = event.pointerType === "mouse" ? event.button === 0 : event.target.closest(".grip");
    if (row && isMine && mayMove()) dragged = { id: row.dataset.item, from: event.clientY, y: event.clientY, pointer: event.pointerId, isMoving: false };
  });
  document.addEventListener("pointermove", (event) => {
    if (event.pointerId !== dragged?.pointer) return;
    dragged.y = event.clientY;
    if (!dragged.isMoving && Math.abs(dragged.y - dragged.from) > FAR) {
      dragged.isMoving = true;
      scroll();
    }
    if (dragged.isMoving) { event.preventDefault(); dragged.before = target(dragged.y); mark(); }
  });
  document.addEventListener("pointerup", (event) => {
    if (event.pointerId !== dragged?.pointer) return;
    const { id, before, isMoving } = dragged;
    end();
    if (!isMoving) return;
    // The click that follows, if one does, was none.
    const swallow = (click) => { click.preventDefault(); click.stopPropagation(); };
    list.addEventListener("click", swallow, true);
    setTimeout(() => list.removeEventListener("click", swallow, true), 0);
    if (before !== undefined) move(id, before);
  });
  document.addEventListener("pointercancel", end);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !dragged?.isMoving) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    end();
  }, true);
}
