use super::*;
use crate::overlay::template::Library;
use crate::state::Card;

fn design(id: &str) -> std::sync::Arc<Design> {
    Library::built_in().designs[id].clone()
}

fn shop(stock: Option<u32>, currency: &str) -> State {
    let product = Product {
        sku: "cup".into(),
        title: "Cup".into(),
        image: None,
        price_minor: 1990,
        old_price_minor: Some(2990),
        currency: currency.into(),
        stock,
        link: None,
    };
    State { products: [("cup".to_owned(), product)].into_iter().collect(), ..State::default() }
}

fn at(now: u64) -> When<'static> {
    When { airing: None, first_frame: MediaTime(5_000_000_000), now: MediaTime(now), epoch: WallTime(0) }
}

fn content(look: &Look, card: &Card, state: &State, when: &When) -> Content {
    Content::of(&design(&card.template), look, card, state, when).unwrap()
}

fn value(content: &Content, name: &str) -> Value {
    serde_json::from_str(&content.values[name]).unwrap()
}

#[test]
fn price_and_stock_are_the_products_whatever_the_card_says() {
    let mut card = Card::of_product("a", "cup");
    // Not reachable through the rules; were it, the product would still win.
    card.data.insert("price".into(), json!("$1"));
    let shown = content(&Look::default(), &card, &shop(Some(0), "USD"), &at(0));
    assert_eq!(value(&shown, "price"), "$19.90");
    assert_eq!(value(&shown, "old_price"), "$29.90");
    assert_eq!(value(&shown, "discount"), 33, "rounded down");
    assert!(shown.is_sold_out);
}

#[test]
fn prices_are_written_as_the_look_or_else_the_currency_says() {
    let card = Card::of_product("a", "cup");
    let german = Look {
        configured: Configured { locale: Some("de-DE".into()), ..Configured::default() },
        ..Look::default()
    };
    assert_eq!(value(&content(&german, &card, &shop(None, "EUR"), &at(0)), "price"), "19,90\u{a0}€");
    assert_eq!(value(&content(&Look::default(), &card, &shop(None, "JPY"), &at(0)), "price"), "￥1,990");
}

#[test]
fn a_countdown_shows_each_second_for_one_second() {
    let mut card = Card { template: "flash-sale".into(), ..Card::of_product("a", "cup") };
    card.data.insert("durationMs".into(), json!(10_000));
    let state = shop(None, "USD");
    let left = |now| value(&content(&Look::default(), &card, &state, &at(now)), "countdown")["left"].clone();
    let second = 1_000_000_000;
    assert_eq!(left(5 * second), 10);
    assert_eq!(left(6 * second - 1), 10);
    assert_eq!(left(6 * second), 9);
    assert_eq!(left(15 * second - 1), 1);
    assert_eq!(left(15 * second), 0);
    assert_eq!(left(99 * second), 0);
    card.data.insert("endsAt".into(), json!("1970-01-01T01:00:00Z"));
    let shown = content(&Look::default(), &card, &state, &at(5 * second));
    assert_eq!(value(&shown, "countdown")["text"], "59:55", "civil time goes before the duration");
}

#[test]
fn a_price_that_turns_keeps_its_digits_apart() {
    let html = rolling("$20.00", "$9.50", 500);
    assert_eq!(html.matches("roll-one").count(), 3, "{html}");
    assert_eq!(html.matches("roll-still").count(), 2, "the point and the last nought: {html}");
    assert!(rolling("<1>", "<2>", 0).contains("&lt;"));
}

#[test]
fn a_change_of_price_alone_is_told_from_others() {
    let card = Card::of_product("a", "cup");
    let before = content(&Look::default(), &card, &shop(Some(3), "USD"), &at(0));
    let mut cheaper = shop(Some(3), "USD");
    cheaper.products.get_mut("cup").unwrap().price_minor = 990;
    assert!(before.differs_in_price_only(&content(&Look::default(), &card, &cheaper, &at(0))));
    cheaper.products.get_mut("cup").unwrap().stock = Some(2);
    assert!(!before.differs_in_price_only(&content(&Look::default(), &card, &cheaper, &at(0))));
}

#[test]
fn every_language_has_every_word_and_brands_stay_readable() {
    let words: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(include_str!("../../../assets/locales/words.json")).unwrap();
    let english: Vec<&String> = words["en"].keys().collect();
    for (language, own) in &words {
        assert_eq!(own.keys().collect::<Vec<_>>(), english, "{language}");
    }
    assert_eq!(
        [on_colour("#ffe000"), on_colour("#102040"), on_colour("#d6123b")],
        ["#16161a", "#ffffff", "#ffffff"]
    );
}
