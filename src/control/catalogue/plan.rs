//! What a file of products would change: every row against the catalogue as it is. Pure.

use serde::Serialize;
use serde_json::{Value, json};

use super::feed::{Draft, Feed, Format, Note};
use crate::state::Doubt;
use crate::state::{Card, Command, Error, Patch, Product, State};

/// Of each kind, an answer names so many.
const MOST_NAMED: usize = 500;

/// A product that is new or different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Its number.
    pub sku: String,
    /// As it would be called.
    pub title: String,
    /// Not in the catalogue yet.
    pub is_new: bool,
    /// By field, what is there and what would be; for a new one only the latter.
    pub fields: serde_json::Map<String, Value>,
}

/// What an import would do, or has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whose file it is taken for.
    pub format: Format,
    /// The letters that it was written in.
    pub encoding: &'static str,
    /// Whether anything was taken.
    pub is_taken: bool,
    /// The revision after it.
    pub rev: u64,
    /// New products.
    pub added: usize,
    /// Products that are different.
    pub changed: usize,
    /// Products that are as they were.
    pub unchanged: usize,
    /// Cards that are made for new products.
    pub cards: usize,
    /// Pictures that are fetched.
    pub pictures: usize,
    /// The first of what is new or different.
    pub lines: Vec<Line>,
    /// How many rows have mistakes; nothing is taken then, unless they are left out.
    pub problem_count: usize,
    /// The first of them.
    pub problems: Vec<Note>,
    /// How many prices should be looked at twice; they want `confirmed`.
    pub doubt_count: usize,
    /// The first of them.
    pub doubts: Vec<Doubt>,
    /// How many rows are no products on sale.
    pub passed_over_count: usize,
    /// The first of them.
    pub passed_over: Vec<Note>,
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// All of it, in one.
    pub command: Command,
    /// Products whose pictures are to be fetched, and from where.
    pub pictures: Vec<(String, String)>,
    /// For whoever asks.
    pub report: Report,
}

/// Which products' pictures are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pictures {
    /// Those that have none.
    #[default]
    Missing,
    /// All, because they may be others.
    All,
    /// None.
    None,
}

/// How a file is taken.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Products that are in the catalogue stay as they are.
    pub only_new: bool,
    /// Whether new products get cards of their own.
    pub makes_cards: bool,
    /// Which pictures are fetched.
    pub pictures: Pictures,
}

/// What `feed` would change in `state`.
pub fn plan(state: &State, feed: Feed, manner: Manner) -> Plan {
    let mut report = Report {
        format: feed.format,
        encoding: feed.encoding,
        is_taken: false,
        rev: state.rev,
        added: 0,
        changed: 0,
        unchanged: 0,
        cards: 0,
        pictures: 0,
        lines: Vec::new(),
        problem_count: 0,
        problems: feed.problems,
        doubt_count: 0,
        doubts: Vec::new(),
        passed_over_count: feed.passed_over.len(),
        passed_over: feed.passed_over,
    };
    let (mut products, mut cards, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
    let shown: std::collections::HashSet<&str> = state.cards.values().flat_map(Card::products).collect();
    for draft in feed.drafts {
        let known = state.products.get(&draft.sku);
        if known.is_some() && manner.only_new {
            report.unchanged += 1;
            continue;
        }
        let (row, source) = (draft.row, draft.image.clone());
        let after = match merged(draft, known) {
            Ok(after) => after,
            Err(problem) => {
                report.problems.push(problem);
                continue;
            }
        };
        if let Err(error) = after.check() {
            report.problems.push(problem(row, &after.sku, &error));
            continue;
        }
        let is_wanted = match manner.pictures {
            Pictures::Missing => after.image.is_none(),
            Pictures::All => true,
            Pictures::None => false,
        };
        pictures.extend(
            source.filter(|source| is_wanted && !source.is_empty()).map(|source| (after.sku.clone(), source)),
        );
        if known == Some(&after) {
            report.unchanged += 1;
            continue;
        }
        if known.is_none() {
            report.added += 1;
            let is_free = !shown.contains(after.sku.as_str()) && !state.cards.contains_key(&after.sku);
            cards.extend((manner.makes_cards && is_free).then(|| Card::of_product(&after.sku, &after.sku)));
        } else {
            report.changed += 1;
        }
        if report.lines.len() < MOST_NAMED {
            report.lines.push(line(known, &after));
        }
        products.push(after);
    }
    (report.cards, report.pictures) = (cards.len(), pictures.len());
    let command = Command::ImportProducts { products, cards };
    report.doubts = state.doubts(&command);
    (report.problem_count, report.doubt_count) = (report.problems.len(), report.doubts.len());
    report.problems.sort_by_key(|problem| problem.row);
    report.problems.truncate(MOST_NAMED);
    report.doubts.truncate(MOST_NAMED);
    report.passed_over.truncate(MOST_NAMED);
    Plan { command, pictures, report }
}

fn problem(row: usize, sku: &str, error: &Error) -> Note {
    let text = error.to_string();
    let reason = text.strip_prefix(&format!("{}: ", error.field())).unwrap_or(&text).to_owned();
    Note::about(row, sku, error.field(), reason)
}

fn patched<T: Clone>(patch: Patch<T>, known: Option<&T>) -> Option<T> {
    match patch {
        Patch::Keep => known.cloned(),
        other => other.value(),
    }
}

/// The product that a draft makes of `known`.
fn merged(draft: Draft, known: Option<&Product>) -> Result<Product, Note> {
    let missing =
        |field: &str| Note::about(draft.row, &draft.sku, field, "it is missing, and the product is new");
    Ok(Product {
        title: (draft.title.clone().or_else(|| known.map(|known| known.title.clone())))
            .ok_or_else(|| missing("title"))?,
        price_minor: (draft.price_minor.or(known.map(|known| known.price_minor)))
            .ok_or_else(|| missing("price"))?,
        currency: (draft.currency.clone().or_else(|| known.map(|known| known.currency.clone())))
            .ok_or_else(|| missing("currency"))?,
        old_price_minor: patched(
            draft.old_price_minor,
            known.and_then(|known| known.old_price_minor.as_ref()),
        ),
        stock: patched(draft.stock, known.and_then(|known| known.stock.as_ref())),
        link: patched(draft.link, known.and_then(|known| known.link.as_ref())),
        image: known.and_then(|known| known.image.clone()),
        sku: draft.sku,
    })
}

fn line(known: Option<&Product>, after: &Product) -> Line {
    let fields = |product: Option<&Product>| match product.map(serde_json::to_value) {
        Some(Ok(Value::Object(fields))) => fields,
        _ => serde_json::Map::new(),
    };
    let (before, now) = (fields(known), fields(Some(after)));
    let different = now.into_iter().filter(|(name, value)| before.get(name) != Some(value) && name != "sku");
    let told = |(name, value): (String, Value)| match before.get(&name) {
        Some(before) => (name, json!([before, value])),
        None => (name, value),
    };
    Line {
        sku: after.sku.clone(),
        title: after.title.clone(),
        is_new: known.is_none(),
        fields: different.map(told).collect(),
    }
}
