// Card pictures, drawn by the server exactly as they go on air; kept until the card or its product changes.

const KEPT_MS = 10_000;

/** `channel()` tells whose canvas is meant; `words(card)` what stands where a card cannot be drawn. */
export function makePreviews(state, channel, words) {
  const known = new Map();
  const key = (card, view) => (view === "card" ? card.id : `${view} ${card.id}`);

  async function fetchOne(id, view) {
    const response = await fetch(`/api/v1/cards/${encodeURIComponent(id)}/preview.png?view=${view}&channel=${encodeURIComponent(channel())}`);
    if (!response.ok) throw new Error(response.statusText);
    return URL.createObjectURL(await response.blob());
  }

  function drop(name) {
    // What is drawn still shows it until the new one is there.
    known.get(name)?.then((address) => setTimeout(() => URL.revokeObjectURL(address), KEPT_MS), () => {});
    known.delete(name);
  }

  const forget = (id) => { for (const view of ["", "overlay "]) drop(view + id); };
  return {
    forget,
    forgetProduct(sku) {
      for (const card of Object.values(state.cards)) if (card.sku === sku || card.skus?.includes(sku)) forget(card.id);
    },
    clear() { for (const name of [...known.keys()]) drop(name); },
    /** Draws `card` into `image`, now or when it is there. */
    async into(image, card, view = "card") {
      const name = key(card, view);
      if (!known.has(name)) known.set(name, fetchOne(card.id, view));
      const picture = known.get(name);
      image.dataset.picture = name;
      try {
        const address = await picture;
        if (known.get(name) !== picture) return;
        image.src = address;
        delete image.dataset.failed;
      } catch {
        // Better none than one with another price; it is tried again.
        image.removeAttribute("src");
        image.alt = words(card);
        image.dataset.failed = "yes";
        setTimeout(() => { if (known.get(name) === picture) known.delete(name); }, KEPT_MS);
      }
    },
    has: (card, view = "card") => known.has(key(card, view)),
  };
}
