use super::*;
use crate::state::template::samples;
use crate::state::{Card, CardEdit, Ending, Position, Product, Ratio, Slot};
use crate::time::{MediaTime, WallTime};

pub(super) fn moment(n: u64) -> Moment {
    Moment {
        wall: WallTime(n as i64 * 1000),
        programme: [("main".to_owned(), MediaTime(n * 1_000_000_000))].into(),
        airing_id: format!("air_{n}"),
        code: format!("code{n}"),
        is_cut: false,
    }
}

fn product(sku: &str) -> Product {
    Product {
        sku: sku.into(),
        title: "Cup".into(),
        image: None,
        price_minor: 1999,
        old_price_minor: Some(2999),
        currency: "USD".into(),
        stock: Some(3),
        link: Some("https://shop.example/cup".into()),
    }
}

fn card(id: &str, sku: &str, slot: Slot) -> Card {
    Card { slot: Some(slot), ..Card::of_product(id, sku) }
}

pub(super) fn show(card_id: &str) -> Command {
    Command::ShowCard { card_id: card_id.into(), channel: "main".into() }
}

pub(super) fn shop() -> State {
    let mut state =
        State { channels: vec!["main".into(), "second".into()], templates: samples(), ..State::default() };
    for command in [
        Command::PutProduct(product("cup")),
        Command::PutProduct(product("pot")),
        Command::PutCard(card("a", "cup", Slot::LowerLeft)),
        Command::PutCard(card("b", "pot", Slot::LowerLeft)),
        Command::PutCard(card("c", "pot", Slot::UpperRight)),
    ] {
        state = state.apply(command, &moment(0)).unwrap().0;
    }
    state
}

pub(super) fn kinds(changes: &[Change]) -> Vec<String> {
    let name = |change| serde_json::to_value(change).unwrap()["eventType"].as_str().unwrap().to_owned();
    changes.iter().map(name).collect()
}

#[test]
fn showing_a_card_in_a_taken_slot_ends_the_one_before() {
    let (state, _) = shop().apply(show("a"), &moment(1)).unwrap();
    let (state, changes) = state.apply(show("b"), &moment(2)).unwrap();
    assert_eq!(kinds(&changes), ["CardHidden", "CardShown"]);
    let (state, changes) = state.apply(show("c"), &moment(3)).unwrap();
    assert_eq!(kinds(&changes), ["CardShown"], "another slot is free");
    let on_air: Vec<_> = state.airings.iter().map(|airing| airing.card_id.as_str()).collect();
    assert_eq!(on_air, ["b", "c"]);
}

#[test]
fn showing_what_is_on_air_changes_nothing_and_keeps_the_revision() {
    let (state, _) = shop().apply(show("a"), &moment(1)).unwrap();
    let (again, changes) = state.apply(show("a"), &moment(2)).unwrap();
    assert!(changes.is_empty());
    assert_eq!(again, state);
}

#[test]
fn every_airing_has_its_own_id_and_code() {
    let hide = Command::HideCard { card_id: "a".into(), channel: "main".into() };
    let (state, _) = shop().apply(show("a"), &moment(1)).unwrap();
    let (state, _) = state.apply(hide, &moment(2)).unwrap();
    let (state, _) = state.apply(show("a"), &moment(3)).unwrap();
    assert_eq!(state.airings[0].code, "code3");
}

#[test]
fn toggle_is_show_or_hide() {
    let toggle = || Command::ToggleCard { card_id: "a".into(), channel: "main".into() };
    let (state, changes) = shop().apply(toggle(), &moment(1)).unwrap();
    assert_eq!(kinds(&changes), ["CardShown"]);
    let (_, changes) = state.apply(toggle(), &moment(2)).unwrap();
    assert_eq!(kinds(&changes), ["CardHidden"]);
}

#[test]
fn clear_all_empties_the_air_and_marks_the_cut() {
    let (state, _) = shop().apply(show("a"), &moment(1)).unwrap();
    let (state, changes) = state.apply(Command::ClearAll { channel: None }, &moment(2)).unwrap();
    assert_eq!(kinds(&changes), ["CardHidden", "AllCleared"]);
    assert!(state.airings.is_empty());
    assert_eq!(state.cut_rev("main"), state.rev);
}

#[test]
fn errors_name_the_field_and_change_nothing() {
    let shop = shop();
    let set = |price_minor, old| Command::SetPrice {
        sku: "cup".into(),
        price_minor,
        old_price_minor: old,
        currency: None,
    };
    for (command, field) in [
        (show("nosuch"), "cardId"),
        (Command::ShowCard { card_id: "a".into(), channel: "tv".into() }, "channel"),
        (set(Some(-1), Patch::Keep), "priceMinor"),
        (set(None, Patch::Set(-10)), "oldPriceMinor"),
        (Command::PutProduct(Product { currency: "ABC".into(), ..product("x") }), "currency"),
        (Command::PutProduct(Product { title: " ".into(), ..product("x") }), "title"),
        (Command::PutProduct(Product { link: Some("javascript:alert(1)".into()), ..product("x") }), "link"),
        (Command::PutProduct(Product { sku: "a/b".into(), ..product("x") }), "sku"),
        (Command::PutCard(card("x", "nosuch", Slot::LowerLeft)), "sku"),
        (Command::DeleteProduct { sku: "cup".into() }, "sku"),
    ] {
        let error = shop.apply(command, &moment(1)).unwrap_err();
        assert_eq!(error.field(), field, "{error}");
    }
}

#[test]
fn a_price_change_keeps_the_airing() {
    let (state, _) = shop().apply(show("a"), &moment(1)).unwrap();
    let command = Command::SetPrice {
        sku: "cup".into(),
        price_minor: Some(999),
        old_price_minor: Patch::Clear,
        currency: None,
    };
    let (next, changes) = state.apply(command, &moment(2)).unwrap();
    assert_eq!(kinds(&changes), ["ProductChanged"]);
    assert_eq!(next.airings, state.airings);
    assert_eq!(next.products["cup"].old_price_minor, None);
}

#[test]
fn moving_a_card_on_air_keeps_its_airing_and_frees_the_slot() {
    let (state, _) = shop().apply(show("a"), &moment(1)).unwrap();
    let (state, _) = state.apply(show("c"), &moment(2)).unwrap();
    let edit = CardEdit { slot: Some(Slot::UpperRight), ..CardEdit::default() };
    let command = Command::UpdateCard { card_id: "a".into(), edit: Box::new(edit) };
    let (state, changes) = state.apply(command, &moment(3)).unwrap();
    assert_eq!(kinds(&changes), ["CardChanged", "CardHidden", "CardMoved"]);
    assert_eq!(state.airings.len(), 1);
    assert_eq!((state.airings[0].id.as_str(), state.airings[0].slot), ("air_1", Slot::UpperRight));
}

fn stream_key(id: &str, name: &str, secret: &str) -> crate::state::StreamKey {
    crate::state::StreamKey {
        id: id.into(),
        channel: "main".into(),
        name: name.into(),
        rank: 0,
        made: crate::time::WallTime(1),
        digest: crate::id::digest(secret),
    }
}

#[test]
fn stream_keys_have_names_of_their_own_and_secrets_that_are_not_told() {
    let state = State { channels: vec!["main".into()], ..State::default() };
    let (state, changes) =
        state.apply(Command::PutStreamKey(stream_key("k1", "host", "s1")), &moment(1)).unwrap();
    let told = serde_json::to_string(&changes).unwrap() + &serde_json::to_string(&state).unwrap();
    assert!(told.contains("host") && !told.contains("digest"), "{told}");
    let refused = |key| state.apply(Command::PutStreamKey(key), &moment(1)).unwrap_err().field().to_owned();
    assert_eq!(refused(stream_key("k2", "host", "s2")), "name");
    assert_eq!(refused(stream_key("k2", "guest", "s1")), "key");
    let elsewhere = crate::state::StreamKey { channel: "shop".into(), ..stream_key("k2", "guest", "s2") };
    assert_eq!(refused(elsewhere), "channel");
    let (state, _) = state.apply(Command::RevokeStreamKey { key_id: "k1".into() }, &moment(1)).unwrap();
    assert!(state.stream_keys.is_empty());
}

#[test]
fn a_card_must_fit_its_template() {
    let shop = shop();
    let of = |template: &str| Card { template: template.into(), ..Card::of_product("x", "cup") };
    let position = Some(Position { x: Ratio(5000), y: Ratio(20_000) });
    for (card, field) in [
        (of("nosuch"), "template"),
        (of("note"), "sku"),
        (Card { sku: None, ..of("product") }, "sku"),
        (Card { skus: vec!["cup".into()], ..of("tray") }, "skus"),
        (Card { sku: None, skus: vec!["cup".into(), "pot".into(), "cup".into()], ..of("tray") }, "skus"),
        (Card { sku: None, skus: vec!["nosuch".into()], ..of("tray") }, "skus"),
        (Card { data: [("price".to_owned(), 1.into())].into(), ..of("product") }, "data.price"),
        (Card { slot: Some(Slot::Free), ..of("product") }, "position"),
        (Card { position, ..of("product") }, "position"),
        (Card { slot: Some(Slot::Free), position, ..of("product") }, "position"),
        (Card { scale: Some(Ratio(100)), ..of("product") }, "scale"),
        (Card { z: Some(101), ..of("product") }, "z"),
        (Card { out_ms: Some(100), ..of("product") }, "outMs"),
    ] {
        let error = shop.apply(Command::PutCard(card), &moment(1)).unwrap_err();
        assert_eq!(error.field(), field, "{error}");
    }
    let tray = Card { sku: None, skus: vec!["cup".into(), "pot".into()], ..of("tray") };
    let (state, _) = shop.apply(Command::PutCard(tray), &moment(1)).unwrap();
    assert_eq!(state.cards["x"].slot, Some(Slot::LowerLeft), "the template's place");
    let refused = state.apply(Command::DeleteProduct { sku: "cup".into() }, &moment(1));
    assert_eq!(refused.unwrap_err().field(), "sku", "a tray shows it");
}

#[test]
fn steps_go_one_by_one_and_end() {
    let card = Card { template: "reveal".into(), ..Card::of_product("x", "cup") };
    let (state, _) = shop().apply(Command::PutCard(card), &moment(1)).unwrap();
    let next = || Command::NextStep { card_id: "x".into(), channel: "main".into() };
    assert_eq!(state.apply(next(), &moment(1)).unwrap_err().field(), "cardId", "not on air");
    let (state, _) = state.apply(show("x"), &moment(2)).unwrap();
    assert_eq!(state.airings[0].step, 1);
    let (state, changes) = state.apply(next(), &moment(3)).unwrap();
    assert_eq!((kinds(&changes), state.airings[0].step), (vec!["CardStepped".to_owned()], 2));
    assert!(state.apply(next(), &moment(4)).is_err(), "there is no third");
}

#[test]
fn a_card_goes_out_by_itself_and_a_price_never_stays_for_ever() {
    let note = Card { template: "note".into(), sku: None, ..Card::of_product("n", "") };
    let with_limit = State { longest_airing_ms: Some(60_000), ..shop() };
    let (state, _) = with_limit.apply(Command::PutCard(note.clone()), &moment(1)).unwrap();
    let ends = |state: &State, id: &str| {
        let (state, _) = state.apply(show(id), &moment(10)).unwrap();
        state.on_air(id, "main").unwrap().ends_programme.map(MediaTime::as_millis)
    };
    assert_eq!(ends(&state, "n"), Some(15_000), "as its template says");
    assert_eq!(ends(&state, "a"), Some(70_000), "it shows a price");
    let stays = Card { out_ms: Some(0), ..note };
    let (state, _) = state.apply(Command::PutCard(stays), &moment(1)).unwrap();
    assert_eq!(ends(&state, "n"), None, "it shows none");
    let edit = CardEdit { out_ms: Patch::Set(2000), ..CardEdit::default() };
    let command = Command::UpdateCard { card_id: "a".into(), edit: Box::new(edit) };
    let (state, _) = state.apply(command, &moment(2)).unwrap();
    assert_eq!(ends(&state, "a"), Some(12_000));

    let (state, _) = state.apply(show("a"), &moment(10)).unwrap();
    let due = Command::EndDue { airing_ids: vec!["air_10".into(), "air_gone".into()] };
    let (state, changes) = state.apply(due, &moment(12)).unwrap();
    assert!(matches!(&changes[..], [Change::CardHidden { ending: Ending::TimedOut, .. }]), "{changes:?}");
    assert!(state.airings.is_empty());
}

#[test]
fn free_places_are_never_taken_and_a_cut_is_marked() {
    let free = |id: &str, x| Card {
        slot: Some(Slot::Free),
        position: Some(Position { x: Ratio(x), y: Ratio(0) }),
        ..Card::of_product(id, "cup")
    };
    let (state, _) = shop().apply(Command::PutCard(free("x", 0)), &moment(1)).unwrap();
    let (state, _) = state.apply(Command::PutCard(free("y", 9000)), &moment(1)).unwrap();
    let (state, _) = state.apply(show("x"), &moment(2)).unwrap();
    assert_eq!(state.cut_rev("main"), 0);
    let cut = Moment { is_cut: true, ..moment(3) };
    let (state, changes) = state.apply(show("y"), &cut).unwrap();
    assert_eq!(kinds(&changes), ["CardShown"]);
    assert_eq!((state.airings.len(), state.cut_rev("main")), (2, state.rev));
    assert_eq!(state.cut_rev("second"), 0, "another channel's cards move as ever");
}

#[test]
fn what_is_practised_is_in_no_picture_and_goes_when_the_practice_ends() {
    let practice = |is_on| Command::SetPractice { channel: "main".into(), is_on };
    let (on_air, _) = shop().apply(show("a"), &moment(1)).unwrap();
    let error = on_air.apply(practice(true), &moment(2)).unwrap_err();
    assert_eq!(error.field(), "channel", "a card is on air: {error}");
    let (state, changes) = shop().apply(practice(true), &moment(1)).unwrap();
    assert_eq!(kinds(&changes), ["PracticeChanged"]);
    assert_eq!(state.apply(practice(true), &moment(2)).unwrap().1, [], "it is so already");
    let (state, _) = state.apply(show("a"), &moment(2)).unwrap();
    assert!(state.on_air("a", "main").unwrap().is_practice);
    assert_eq!(state.in_picture("main").count(), 0);
    let (state, changes) = state.apply(practice(false), &moment(3)).unwrap();
    assert_eq!(kinds(&changes), ["CardHidden", "PracticeChanged"]);
    let (state, _) = state.apply(show("a"), &moment(4)).unwrap();
    assert_eq!(state.in_picture("main").count(), 1);
}

fn pin(sku: Option<&str>) -> Command {
    Command::PinProduct { sku: sku.map(Into::into), card_id: None, channel: "main".into() }
}

#[test]
fn one_product_is_explained_at_a_time_and_stays_until_the_next() {
    let timed = Card { out_ms: Some(5_000), ..Card::of_product("t", "pot") };
    let (shop, _) = shop().apply(Command::PutCard(timed), &moment(1)).unwrap();
    let (state, changes) = shop.apply(pin(Some("pot")), &moment(2)).unwrap();
    assert_eq!(kinds(&changes), ["CardShown"]);
    let first = state.airings[0].clone();
    assert!(first.is_pinned && first.ends_programme.is_none(), "{first:?}");
    let (same, changes) = state.apply(pin(Some("pot")), &moment(3)).unwrap();
    assert!(changes.is_empty() && same.rev == state.rev, "it is so already");
    let (state, changes) = state.apply(pin(Some("cup")), &moment(4)).unwrap();
    assert_eq!(kinds(&changes), ["CardHidden", "CardShown"]);
    assert_eq!(state.airings.iter().filter(|airing| airing.is_pinned).count(), 1);
    let (state, changes) = state.apply(pin(None), &moment(5)).unwrap();
    assert_eq!(kinds(&changes), ["CardHidden"]);
    assert!(state.airings.is_empty());
}

#[test]
fn a_card_that_is_on_air_is_pinned_where_it_is() {
    let (state, _) = shop().apply(show("a"), &moment(1)).unwrap();
    let (state, changes) = state.apply(pin(Some("cup")), &moment(2)).unwrap();
    assert_eq!(kinds(&changes), ["CardPinned"]);
    assert_eq!((state.airings.len(), state.airings[0].since), (1, moment(1).wall));
    assert_eq!(state.apply(pin(Some("hat")), &moment(3)).unwrap_err().field(), "sku");
    let by = |card: &str| Command::PinProduct {
        sku: Some("pot".into()),
        card_id: Some(card.into()),
        channel: "main".into(),
    };
    let (other, _) = state.apply(by("c"), &moment(4)).unwrap();
    assert_eq!(
        (other.airings.len(), &*other.airings[0].card_id),
        (1, "c"),
        "of two the one that was asked for"
    );
    assert_eq!(state.apply(by("a"), &moment(4)).unwrap_err().field(), "cardId", "it is of another product");
}

#[test]
fn a_tray_is_about_no_product_of_its_own() {
    let tray = Card {
        template: "tray".into(),
        sku: None,
        skus: vec!["cup".into(), "pot".into()],
        ..Card::of_product("x", "")
    };
    let (state, _) = shop().apply(Command::PutCard(tray), &moment(1)).unwrap();
    let (state, _) = state.apply(show("x"), &moment(2)).unwrap();
    for sku in ["cup", "pot"] {
        let (next, _) = state.apply(pin(Some(sku)), &moment(3)).unwrap();
        let pinned = next.airings.iter().find(|airing| airing.is_pinned).unwrap();
        assert_eq!(pinned.sku.as_deref(), Some(sku));
    }
}
