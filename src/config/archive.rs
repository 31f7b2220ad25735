//! What is kept of shows that are over.

use serde::Deserialize;

/// How shows are kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Archive {
    /// Whether they are.
    pub enabled: bool,
    /// Minutes without a publisher after which a show is over.
    pub gap_min: f64,
    /// Days for which a show is kept.
    pub keep_days: u32,
    /// GB that a channel's shows may take; the oldest go first.
    pub keep_gb: u32,
    /// GB of the disk that are left free: with less, nothing is kept.
    pub free_gb: u32,
}

impl Archive {
    /// The gap in milliseconds; none that is not a number of minutes.
    pub fn gap_ms(&self) -> i64 {
        (self.gap_min.clamp(0.0, 1_000_000.0) * 60_000.0) as i64
    }
}

impl Default for Archive {
    fn default() -> Self {
        Self { enabled: true, gap_min: 10.0, keep_days: 30, keep_gb: 50, free_gb: 2 }
    }
}
