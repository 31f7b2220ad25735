use super::tests::{kinds, moment, shop};
use crate::state::rundown::{Bundle, Edit, Item, Rundown};
use crate::state::{Card, Change, Command, State};

fn of(card: &str) -> Item {
    Item { card_id: Some(card.into()), ..Item::default() }
}

/// A heading, then `a`, a draft of `b`, and `c`.
fn friday() -> Rundown {
    let heading = Item { title: Some("Kitchen".into()), ..Item::default() };
    let items = vec![heading, of("a"), Item { is_draft: true, ..of("b") }, of("c")];
    Rundown { id: "friday".into(), title: "Friday".into(), is_archived: false, items }
}

fn done(state: &State, command: Command) -> State {
    state.apply(command, &moment(1)).unwrap().0
}

fn standing() -> State {
    let state = done(&shop(), Command::PutRundown(friday()));
    let choose = Command::ChooseRundown { channel: "main".into(), rundown_id: Some("friday".into()) };
    done(&state, choose)
}

fn edit(edit: Edit) -> Command {
    Command::EditRundown { rundown_id: "friday".into(), edit }
}

fn ids(state: &State) -> Vec<&str> {
    state.rundowns["friday"].items.iter().map(|item| item.id.as_str()).collect()
}

fn cued(state: &State) -> Option<&str> {
    state.cues["main"].item_id.as_deref()
}

fn take() -> Command {
    Command::Take { channel: "main".into() }
}

#[test]
fn items_are_taken_in_order_and_headings_and_drafts_are_passed_over() {
    let state = standing();
    assert_eq!(ids(&state), ["section", "a", "b", "c"]);
    assert_eq!(cued(&state), Some("a"));
    let (state, changes) = state.apply(take(), &moment(2)).unwrap();
    assert_eq!(kinds(&changes), ["CardShown", "CueChanged"]);
    assert_eq!(cued(&state), Some("c"), "b is a draft");
    let state = done(&state, take());
    assert_eq!((state.airings.len(), cued(&state)), (2, None));
    assert_eq!(state.apply(take(), &moment(3)).unwrap_err().field(), "itemId", "it is over");
    let cue = |item: &str| Command::CueItem { channel: "main".into(), item_id: Some(item.into()) };
    for refused in ["b", "section", "nosuch"] {
        assert_eq!(state.apply(cue(refused), &moment(3)).unwrap_err().field(), "itemId", "{refused}");
    }
    assert_eq!(cued(&done(&state, cue("a"))), Some("a"));
}

#[test]
fn items_are_moved_copied_and_taken_out_and_the_cue_stays_where_it_was() {
    let state = standing();
    let before = |item: &str| Some(item.to_owned());
    let moved = done(&state, edit(Edit::MoveItem { item_id: "c".into(), before: before("a") }));
    assert_eq!(ids(&moved), ["section", "c", "a", "b"]);
    assert_eq!(cued(&moved), Some("a"), "what was next is next");
    let moved = done(&moved, edit(Edit::MoveItem { item_id: "section".into(), before: None }));
    assert_eq!(ids(&moved), ["c", "a", "b", "section"]);
    let (copied, changes) =
        state.apply(edit(Edit::DuplicateItem { item_id: "a".into() }), &moment(1)).unwrap();
    assert_eq!(kinds(&changes), ["CardChanged", "RundownChanged"]);
    assert_eq!(ids(&copied), ["section", "a", "a-2", "b", "c"]);
    assert_eq!(copied.cards["a-2"].sku, copied.cards["a"].sku);
    let gone = done(&state, edit(Edit::RemoveItem { item_id: "a".into() }));
    assert_eq!(cued(&gone), Some("c"), "the one after it that is no draft");
    let again = Edit::PutItem { item: Item { id: "b".into(), ..of("b") }, before: before("a") };
    let put = done(&state, edit(again));
    assert_eq!(ids(&put), ["section", "b", "a", "c"]);
    let last = done(&put, edit(Edit::PutItem { item: of("b"), before: None }));
    assert_eq!(ids(&last), ["section", "b", "a", "c", "b-2"], "a card may come twice");
    let at_its_end = done(&done(&state, take()), take());
    assert_eq!(cued(&at_its_end), None);
    let more = done(&at_its_end, edit(Edit::PutItem { item: of("b"), before: None }));
    assert_eq!(cued(&more), Some("b-2"), "what is added comes next");
    let over = Edit::Describe { title: None, is_archived: Some(true) };
    let (over, changes) = state.apply(edit(over), &moment(1)).unwrap();
    assert_eq!(kinds(&changes), ["RundownChanged", "CueChanged"]);
    assert!(over.cues.is_empty(), "a show that is over is left");
}

#[test]
fn what_cannot_stand_in_a_rundown_is_refused_by_its_name() {
    let state = standing();
    let both = Item { title: Some("x".into()), ..of("a") };
    let named = |id: &str| Item { id: id.into(), ..of("a") };
    let of_items = |items| Command::PutRundown(Rundown { items, ..friday() });
    for (command, field) in [
        (of_items(vec![of("nosuch")]), "cardId"),
        (of_items(vec![both]), "cardId"),
        (of_items(vec![Item::default()]), "cardId"),
        (of_items(vec![named("x"), named("x")]), "itemId"),
        (of_items(vec![named("a b")]), "itemId"),
        (of_items(vec![Item { notes: "\u{7}".into(), ..of("a") }]), "notes"),
        (Command::PutRundown(Rundown { title: " ".into(), ..friday() }), "title"),
        (Command::RemoveRundown { rundown_id: "nosuch".into() }, "rundownId"),
        (edit(Edit::RemoveItem { item_id: "nosuch".into() }), "itemId"),
        (edit(Edit::MoveItem { item_id: "a".into(), before: Some("nosuch".into()) }), "before"),
        (Command::DeleteCard { card_id: "a".into() }, "cardId"),
        (Command::Take { channel: "second".into() }, "channel"),
    ] {
        let error = state.apply(command, &moment(1)).unwrap_err();
        assert_eq!(error.field(), field, "{error}");
    }
}

#[test]
fn an_import_is_whole_or_nothing() {
    let state = shop();
    let cards = vec![Card::of_product("x", "cup"), Card::of_product("y", "nosuch")];
    let bundle = Bundle { rundown: friday(), cards, products: Vec::new() };
    let refused = state.apply(Command::ImportRundown(Box::new(bundle.clone())), &moment(1));
    assert_eq!(refused.unwrap_err().field(), "sku");
    let whole = Bundle { cards: vec![Card::of_product("x", "cup")], ..bundle };
    let (state, changes) = state.apply(Command::ImportRundown(Box::new(whole)), &moment(1)).unwrap();
    assert_eq!(kinds(&changes), ["CardChanged", "RundownChanged"]);
    assert!(state.cards.contains_key("x") && state.rundowns.contains_key("friday"));
}

#[test]
fn one_key_takes_a_card_through_its_steps_and_out() {
    let state =
        done(&shop(), Command::PutCard(Card { template: "reveal".into(), ..Card::of_product("x", "cup") }));
    let advance = || Command::AdvanceCard { card_id: "x".into(), channel: "main".into() };
    let (mut state, mut seen) = (state, Vec::new());
    for n in 2..5 {
        let (next, changes) = state.apply(advance(), &moment(n)).unwrap();
        seen.extend(kinds(&changes));
        state = next;
    }
    assert_eq!(seen, ["CardShown", "CardStepped", "CardHidden"]);
}

#[test]
fn a_swap_leaves_one_card_and_all_out_none() {
    let show = |id: &str| Command::ShowCard { card_id: id.into(), channel: "main".into() };
    let state = done(&done(&shop(), show("a")), show("c"));
    let swap = |id: &str| Command::SwapCard { card_id: id.into(), channel: "main".into() };
    let (swapped, changes) = state.apply(swap("b"), &moment(5)).unwrap();
    assert_eq!(kinds(&changes), ["CardHidden", "CardHidden", "CardShown"]);
    assert_eq!(swapped.airings.len(), 1);
    let (kept, changes) = state.apply(swap("a"), &moment(5)).unwrap();
    assert_eq!(
        (kinds(&changes), kept.airings.len()),
        (vec!["CardHidden".to_owned()], 1),
        "it stays as it is"
    );
    let (out, changes) = state.apply(Command::HideAll { channel: "main".into() }, &moment(5)).unwrap();
    assert!(out.airings.is_empty() && changes.iter().all(|c| matches!(c, Change::CardHidden { .. })));
    assert_eq!(out.cut_rev("main"), 0, "with their animations");
}
