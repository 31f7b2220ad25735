// Card pictures, drawn by the server exactly as they go on air; kept until the card or its product changes.

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
    known.get(name)?.then((address) => URL.revokeObjectURL(address), () => {});
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
        if (known.get(name) === picture) image.src = address;
      } catch {
        image.alt = words(card);
        image.dataset.failed = "yes";
      }
    },
    has: (card, view = "card") => known.has(key(card, view)),
  };
}
