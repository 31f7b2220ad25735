//! What holds whatever clients write: requests made of right and wrong words, one after another, on one state.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Action, REQUESTS, read};
use crate::state::{Moment, Slot, State, template};
use crate::time::{MediaTime, WallTime};

/// Words of requests, with values that are often right and sometimes not.
fn word() -> impl Strategy<Value = (&'static str, Value)> {
    let id = || {
        prop::sample::select(vec![
            json!("a"),
            json!("b"),
            json!("c"),
            json!("tray"),
            json!("nosuch"),
            json!(""),
            Value::Null,
            json!(7),
        ])
    };
    let number = || {
        prop::sample::select(vec![
            json!(0),
            json!(1),
            json!(500),
            json!(-1),
            json!(1e300),
            json!(i64::MAX),
            json!("5"),
            Value::Null,
        ])
    };
    let slot = prop::sample::select(vec![
        json!("lower-left"),
        json!("right"),
        json!("free"),
        json!("nowhere"),
        Value::Null,
    ]);
    let template = prop::sample::select(vec![
        json!("product"),
        json!("note"),
        json!("reveal"),
        json!("tray"),
        json!("nosuch"),
    ]);
    let names = prop::sample::select(vec![
        "cardId",
        "id",
        "sku",
        "rundownId",
        "itemId",
        "before",
        "keyId",
        "questionId",
    ]);
    prop_oneof![
        8 => (names, id()),
        2 => (prop::sample::select(vec!["priceMinor", "oldPriceMinor", "stock", "outMs", "rank", "z", "ifRev"]), number()),
        1 => slot.prop_map(|slot| ("slot", slot)),
        1 => template.prop_map(|template| ("template", template)),
        1 => any::<bool>().prop_map(|is| ("isOn", json!(is))),
        1 => prop::sample::select(vec!["isDraft", "isArchived", "confirmed", "skipAnimation"]).prop_map(|name| (name, json!(true))),
        1 => Just(("channel", json!("second"))),
        1 => Just(("skus", json!(["a", "b"]))),
        1 => Just(("position", json!({ "x": 0.5, "y": 2 }))),
        1 => Just(("data", json!({ "headline": "x", "durationMs": -5, "deep": [[[[{}]]]] }))),
        1 => Just(("items", json!([{ "cardId": "a" }, { "cardId": "a" }, { "title": "x" }]))),
        1 => ".{0,12}".prop_map(|text| ("title", json!(text))),
        1 => ".{0,12}".prop_map(|text| ("url", json!(text))),
        1 => Just(("nosuch", json!(1))),
    ]
}

/// Words that make a request's own whole, so that many get through.
fn usual(request: &str) -> Value {
    match request {
        "PutProduct" => json!({ "sku": "a", "title": "A", "priceMinor": 500, "currency": "EUR" }),
        "PutCard" => json!({ "id": "a", "sku": "a", "template": "product", "slot": "lower-left" }),
        "PutRundown" => {
            json!({ "rundownId": "a", "title": "A", "items": [{ "cardId": "a" }, { "cardId": "b" }] })
        }
        "PutItem" => json!({ "rundownId": "a", "cardId": "a" }),
        "UpdateRundown" | "ChooseRundown" => json!({ "rundownId": "a" }),
        "MakeStreamKey" => json!({ "name": "key" }),
        "SetPractice" => json!({ "isOn": true }),
        "PinProduct" | "RemoveProduct" | "SetPrice" => json!({ "sku": "a" }),
        "SetStock" => json!({ "sku": "a", "stock": 1 }),
        _ => json!({ "cardId": "a" }),
    }
}

fn request() -> impl Strategy<Value = (&'static str, Value)> {
    let mine = prop::collection::vec(word(), 0..3);
    (prop::sample::select(REQUESTS), mine, 0..3_u8).prop_map(|(name, mine, how)| {
        let mut data = if how > 0 { usual(name) } else { Value::Object(Map::new()) };
        for (key, value) in mine {
            data[key] = value;
        }
        (name, data)
    })
}

fn shop() -> State {
    let state = State {
        channels: vec!["main".into(), "second".into()],
        templates: template::samples(),
        ..State::default()
    };
    let fill = [
        ("PutProduct", json!({ "sku": "a", "title": "A", "priceMinor": 500, "currency": "EUR" })),
        ("PutProduct", json!({ "sku": "b", "title": "B", "priceMinor": 900, "currency": "EUR" })),
        ("PutCard", json!({ "id": "a", "sku": "a" })),
        ("PutCard", json!({ "id": "b", "sku": "b", "slot": "right" })),
        ("PutCard", json!({ "id": "c", "sku": "b" })),
    ];
    fill.into_iter()
        .enumerate()
        .fold(state, |state, (n, (name, data))| step(&state, name, data, n).expect("it fits"))
}

fn step(state: &State, name: &str, data: Value, n: usize) -> Option<State> {
    let action = match read(name, Some(data)) {
        Ok(action) => action,
        Err(error) => {
            assert!(!error.detail.is_empty());
            return None;
        }
    };
    let _ = action.needed(state);
    let Action::Change(order) = action else { return None };
    let moment = Moment {
        wall: WallTime(n as i64),
        programme: [("main".to_owned(), MediaTime(n as u64 * 1_000_000_000))].into(),
        airing_id: format!("air_{n}"),
        code: format!("code{n}"),
        is_cut: order.is_cut,
    };
    let _ = state.doubts(&order.command);
    let (next, changes) = state.apply(order.command, &moment).ok()?;
    assert_eq!(next.rev, state.rev + u64::from(!changes.is_empty()), "a revision for what changes");
    Some(next)
}

fn check(state: &State) {
    let mut places = BTreeSet::new();
    for airing in &state.airings {
        let card = state.cards.get(&airing.card_id).expect("what is on air is there");
        assert!(
            airing.slot == Slot::Free || places.insert((&airing.channel, format!("{:?}", airing.slot))),
            "one in a slot"
        );
        assert_eq!(airing.is_practice, state.practice.contains(&airing.channel));
        assert_eq!(airing.slot, card.place());
    }
    for channel in &state.channels {
        let pinned = state.airings.iter().filter(|airing| airing.is_pinned && airing.channel == *channel);
        assert!(pinned.count() <= 1, "one is explained");
    }
    for card in state.cards.values() {
        assert!(card.products().all(|sku| state.products.contains_key(sku)), "{card:?} shows what is there");
    }
    for cue in state.cues.values() {
        let rundown = state.rundowns.get(&cue.rundown_id).expect("a channel stands where something is");
        assert!(cue.item_id.as_ref().is_none_or(|item| rundown.place(item).is_some()));
    }
    for rundown in state.rundowns.values() {
        for item in &rundown.items {
            assert!(item.card_id.as_ref().is_none_or(|card| state.cards.contains_key(card)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_clients_write_the_state_holds_together(requests in prop::collection::vec(request(), 1..60)) {
        let mut state = shop();
        for (n, (name, data)) in requests.into_iter().enumerate() {
            if let Some(next) = step(&state, name, data, n + 10) {
                check(&next);
                state = next;
            }
        }
    }
}
