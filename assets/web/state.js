// The state as the server tells it: a snapshot first, then what changes. The pages draw it and change nothing themselves.

export const emptyState = () => ({
  products: {}, cards: {}, airings: [], channels: [], streamKeys: {}, sources: {}, rundowns: {}, cues: {}, practice: [], questions: [], templates: [], faults: [], present: [],
});

/** Sets or takes out one of a table. */
function put(table, name, value) {
  if (value) table[name] = value;
  else delete table[name];
}

/** Takes an event in. */
export function reduce(state, name, data) {
  if (data.rev) state.rev = data.rev;
  switch (name) {
    case "StateSnapshot": case "TemplatesChanged": case "PresenceChanged": case "ImportChanged": case "QuestionsChanged": Object.assign(state, data); break;
    case "ProductChanged": state.products[data.product.sku] = data.product; break;
    case "ProductRemoved": delete state.products[data.sku]; break;
    case "CardChanged": state.cards[data.card.id] = data.card; break;
    case "CardRemoved": delete state.cards[data.cardId]; break;
    case "CardShown": state.airings = [...state.airings.filter((a) => a.id !== data.airing.id), data.airing]; break;
    case "CardMoved": case "CardStepped": case "CardPinned": state.airings = state.airings.map((a) => (a.id === data.airing.id ? data.airing : a)); break;
    case "CardHidden": state.airings = state.airings.filter((a) => a.id !== data.airing.id); break;
    case "StreamKeyChanged": state.streamKeys[data.key.id] = data.key; break;
    case "StreamKeyRevoked": delete state.streamKeys[data.keyId]; break;
    case "SourceChanged": put(state.sources, data.channel, data.source); break;
    case "RundownChanged": state.rundowns[data.rundown.rundownId] = data.rundown; break;
    case "RundownRemoved": delete state.rundowns[data.rundownId]; break;
    case "CueChanged": put(state.cues, data.channel, data.cue); break;
    case "PracticeChanged": state.practice = [...state.practice.filter((one) => one !== data.channel), ...(data.isOn ? [data.channel] : [])]; break;
    case "ChannelStatusChanged": state.channels = state.channels.map((c) => (c.id === data.id ? data : c)); break;
  }
}

/** What people call a card. */
export const titleOf = (state, card) =>
  card.title ?? state.products[card.sku]?.title ?? card.data?.headline ?? card.data?.name ?? card.id;
