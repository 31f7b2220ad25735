//! Lists in pages: `?limit=` at most, `?after=` what `next` said. Without either, all of it.

use std::ops::Bound;

use serde::Deserialize;

use super::api::{Parameter, parameter};
use crate::state::Map;

/// What may stand behind the `?` of a list.
pub(super) const PAGE: &[Parameter] = &[
    parameter("limit", "integer", "So many at most; all without it"),
    parameter("after", "string", "What `next` said of the page before"),
];

/// A page of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<String>,
}

impl Page {
    fn most(&self) -> usize {
        self.limit.unwrap_or(usize::MAX).max(1)
    }

    /// Its part of `all`, and what the next page comes after.
    pub(super) fn of<'a, V>(&self, all: &'a Map<V>) -> (Vec<&'a V>, Option<&'a str>) {
        let from = self.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = all.range((from, Bound::Unbounded));
        let page: Vec<_> = rest.by_ref().take(self.most()).collect();
        let next = rest.next().and_then(|_| page.last()).map(|(name, _)| name.as_str());
        (page.into_iter().map(|(_, value)| value).collect(), next)
    }

    /// The same of a list in an order of its own, by each one's `name`. After one that is gone comes nothing.
    pub(super) fn of_list<V>(&self, all: Vec<V>, name: impl Fn(&V) -> String) -> (Vec<V>, Option<String>) {
        let is_before = |one: &V| self.after.as_ref().is_some_and(|after| name(one) != *after);
        let skipped = usize::from(self.after.is_some());
        let mut rest = all.into_iter().skip_while(is_before).skip(skipped);
        let page: Vec<V> = rest.by_ref().take(self.most()).collect();
        let next = rest.next().and_then(|_| page.last()).map(&name);
        (page, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let list = || vec!["c", "a", "b", "e", "d"];
        let page = |after: Option<&str>| {
            let page = Page { limit: Some(2), after: after.map(Into::into) };
            page.of_list(list(), ToString::to_string)
        };
        assert_eq!(page(None), (vec!["c", "a"], Some("a".into())));
        assert_eq!(page(Some("a")), (vec!["b", "e"], Some("e".into())));
        assert_eq!(page(Some("e")), (vec!["d"], None));
        assert_eq!(page(Some("nosuch")), (vec![], None));
        let whole = Page { limit: None, after: None };
        assert_eq!(whole.of_list(list(), ToString::to_string).0, list());
        let map: Map<u32> = list().into_iter().zip(0..).map(|(name, n)| (name.to_owned(), n)).collect();
        let (first, next) = Page { limit: Some(3), after: None }.of(&map);
        assert_eq!((first, next), (vec![&1, &2, &0], Some("c")));
    }
}
