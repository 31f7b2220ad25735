//! What a client asks of a playlist in its address.
//!
//! Source: draft-pantos-hls-rfc8216bis-22 6.2.5.

use crate::package::playlist::Extent;

/// The delivery directives. Other parameters are none of ours and change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directives {
    /// Hold the request until this segment is there.
    pub segment: Option<u64>,
    /// Or only this part of it.
    pub part: Option<u32>,
    /// How much of the playlist is wanted.
    pub extent: Extent,
}

impl Directives {
    /// Reads a query. Nothing for a number that is none, and for a part without its segment (6.2.5.2: MUST be 400).
    pub fn parse(query: &str) -> Option<Self> {
        let mut directives = Self { segment: None, part: None, extent: Extent::Full };
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match (key, value) {
                ("_HLS_msn", _) => directives.segment = Some(value.parse().ok()?),
                ("_HLS_part", _) => directives.part = Some(value.parse().ok()?),
                ("_HLS_skip", "YES") => directives.extent = Extent::Delta,
                ("_HLS_skip", "v2") => directives.extent = Extent::DeltaOfRanges,
                _ => {}
            }
        }
        if directives.part.is_some() && directives.segment.is_none() {
            return None;
        }
        Some(directives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_and_others_left_alone() {
        let full = Directives { segment: None, part: None, extent: Extent::Full };
        let both = Directives { segment: Some(7), part: Some(2), ..full };
        assert_eq!(Directives::parse("x=1&_HLS_msn=7&_HLS_part=2&utm=a"), Some(both));
        assert_eq!(Directives::parse(""), Some(full));
        assert_eq!(Directives::parse("_HLS_skip=v3"), Some(full));
        let delta = Directives { extent: Extent::DeltaOfRanges, ..both };
        assert_eq!(Directives::parse("_HLS_msn=7&_HLS_part=2&_HLS_skip=v2"), Some(delta));
        assert_eq!(Directives::parse("_HLS_part=2"), None);
        assert_eq!(Directives::parse("_HLS_msn=x"), None);
        assert_eq!(Directives::parse("_HLS_msn=99999999999999999999999"), None);
    }
}
