//! Lists in pages: `?limit=` at most, `?after=` what `next` said. Without either, all of it.

use std::ops::Bound;

use serde::Deserialize;

use super::api::{Parameter, parameter};
use super::error::{Error, Kind};
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

    /// The same of what is sorted by name.
    pub(super) fn of_sorted<'a, V: 'a>(
        &self,
        all: impl Iterator<Item = (&'a String, V)>,
    ) -> (Vec<V>, Option<String>) {
        let mut rest = all.skip_while(|(name, _)| self.after.as_ref().is_some_and(|after| *name <= after));
        let page: Vec<_> = rest.by_ref().take(self.most()).collect();
        let next = rest.next().and_then(|_| page.last()).map(|(name, _)| (*name).clone());
        (page.into_iter().map(|(_, value)| value).collect(), next)
    }

    /// The same of a list in an order of its own, by each one's `name`.
    ///
    /// # Errors
    /// When the one that the page should follow is gone: where it stood is not known.
    pub(super) fn of_list<V>(
        &self,
        mut all: Vec<V>,
        name: impl Fn(&V) -> String,
    ) -> Result<(Vec<V>, Option<String>), Error> {
        if let Some(after) = &self.after {
            let place = all.iter().position(|one| name(one) == *after);
            let gone = || Error::field(Kind::Conflict, "after", "it is gone: begin with the first page");
            all.drain(..=place.ok_or_else(gone)?);
        }
        let next = all.get(self.most().saturating_sub(1)).filter(|_| all.len() > self.most()).map(&name);
        all.truncate(self.most());
        Ok((all, next))
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
            page.of_list(list(), ToString::to_string).ok()
        };
        assert_eq!(page(None), Some((vec!["c", "a"], Some("a".into()))));
        assert_eq!(page(Some("a")), Some((vec!["b", "e"], Some("e".into()))));
        assert_eq!(page(Some("e")), Some((vec!["d"], None)));
        assert_eq!(page(Some("nosuch")), None, "not as if that were the end");
        let whole = Page { limit: None, after: None };
        assert_eq!(whole.of_list(list(), ToString::to_string).unwrap().0, list());
        let map: Map<u32> = list().into_iter().zip(0..).map(|(name, n)| (name.to_owned(), n)).collect();
        let (first, next) = Page { limit: Some(3), after: None }.of(&map);
        assert_eq!((first, next), (vec![&1, &2, &0], Some("c")));
        let names: Vec<String> = ["a", "b", "d"].map(Into::into).into();
        let page = Page { limit: Some(1), after: Some("aa".into()) };
        let (found, next) = page.of_sorted(names.iter().map(|name| (name, name.len())));
        assert_eq!((found, next), (vec![1], Some("b".into())), "after one that is gone");
    }
}
