//! The one place that reads a clock, and the types that say which time is meant.
//!
//! Two axes exist. [`MediaTime`] is a point on a channel's programme timeline. [`WallTime`] is civil
//! time, for people and for `EXT-X-PROGRAM-DATE-TIME`. A [`ProgramClock`] joins them: it is set from
//! the wall once, when the channel starts, and then follows the monotonic clock, so a step of the
//! wall clock never moves the picture. Nothing else in the crate calls `Instant::now`.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const NANOS_PER_SEC: u128 = 1_000_000_000;

/// A point on the programme timeline: nanoseconds since the channel's first start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaTime(pub u64);

impl MediaTime {
    /// The start of the timeline.
    pub const ZERO: Self = Self(0);

    /// The time at `ticks` of a clock of `hz`, rounded down to a nanosecond.
    pub fn from_ticks(ticks: u64, hz: u32) -> Self {
        // u128: ticks times 10^9 leaves u64 within days.
        Self((u128::from(ticks) * NANOS_PER_SEC / u128::from(hz.max(1))) as u64)
    }

    /// Ticks of a clock of `hz`, rounded to the nearest.
    pub fn as_ticks(self, hz: u32) -> u64 {
        ((u128::from(self.0) * u128::from(hz) + NANOS_PER_SEC / 2) / NANOS_PER_SEC) as u64
    }

    /// This time moved by `nanos`, held at zero.
    #[must_use]
    pub fn offset(self, nanos: i64) -> Self {
        Self(self.0.saturating_add_signed(nanos))
    }

    /// Nanoseconds from `other` to this time, negative when this one is earlier.
    pub fn since(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0) as i64
    }

    /// Whole milliseconds since the start of the timeline.
    pub fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// Civil time in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(pub i64);

impl WallTime {
    /// Reads `2026-11-22T20:00:00Z`, with or without fractions, with `Z` or an offset such as `+08:00`. Nothing
    /// when it is not such a text. Source: RFC 3339, section 5.6.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = (text.get(..10)?, text.get(10..)?);
        let number = |text: &str| -> Option<i64> {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
        };
        let fields = |text: &str, separator| -> Option<[i64; 3]> {
            let mut parts = text.split(separator).map(number);
            Some([parts.next()??, parts.next()??, parts.next()??]).filter(|_| parts.next().is_none())
        };
        let [year, month, day] = fields(date, '-')?;
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let zone_at = rest.find(['Z', 'z', '+', '-'])?;
        let (clock, zone) = rest.split_at(zone_at);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let [hour, minute, second] = fields(clock, ':')?;
        let digits: Option<Vec<i64>> = fraction.chars().map(|c| c.to_digit(10).map(i64::from)).collect();
        let millis = digits?.into_iter().chain([0, 0]).take(3).fold(0, |sum, digit| sum * 10 + digit);
        let zone_minutes = match zone {
            "Z" | "z" => 0,
            _ => {
                let (hours, minutes) = zone.get(1..)?.split_once(':')?;
                if hours.len() != 2 || minutes.len() != 2 {
                    return None;
                }
                let offset = number(hours)? * 60 + number(minutes)?;
                if zone.starts_with('-') { -offset } else { offset }
            }
        };
        let is_real = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60
            && zone_minutes.abs() < 24 * 60;
        if !is_real {
            return None;
        }
        // Civil date to days: H. Hinnant, "chrono-compatible low-level date algorithms".
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days =
            era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - zone_minutes * 60;
        Some(Self(seconds * 1000 + millis))
    }

    /// The wall clock's present time.
    #[allow(clippy::disallowed_methods)] // this file is where clocks are read
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// ISO 8601 in UTC with milliseconds, as `EXT-X-PROGRAM-DATE-TIME` wants it.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        // Days to civil date: H. Hinnant, "chrono-compatible low-level date algorithms".
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
    }
}

/// A channel's clock: programme time from the monotonic clock, civil time from where it was set.
#[derive(Debug, Clone)]
pub struct ProgramClock {
    anchor: Instant,
    anchor_media: MediaTime,
    epoch: WallTime,
}

impl ProgramClock {
    /// A clock whose timeline began at `epoch`, which is kept from the channel's first start, so that
    /// a restart goes on at the right place. `at_least` keeps time from going back when the wall
    /// clock was set back while the server was away.
    #[allow(clippy::disallowed_methods)] // this file is where clocks are read
    pub fn start(epoch: WallTime, at_least: MediaTime) -> Self {
        let now = WallTime::now();
        let elapsed_ms = (now.0 - epoch.0).max(0) as u64;
        let anchor_media = MediaTime(elapsed_ms * 1_000_000).max(at_least);
        // Where time was held up, civil times follow the wall clock all the same: no date in the future.
        let epoch =
            if anchor_media == at_least { WallTime(now.0 - at_least.as_millis() as i64) } else { epoch };
        Self { anchor: Instant::now(), anchor_media, epoch }
    }

    /// The present programme time.
    pub fn now(&self) -> MediaTime {
        MediaTime(self.anchor_media.0 + u64::try_from(self.anchor.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The civil time at which programme time zero was.
    pub fn epoch(&self) -> WallTime {
        self.epoch
    }

    /// Blocks the calling thread until `time`. Not for a tokio worker.
    pub fn sleep_until(&self, time: MediaTime) {
        let wait = time.since(self.now());
        if wait > 0 {
            std::thread::sleep(Duration::from_nanos(wait.unsigned_abs()));
        }
    }
}

/// Monotonic time since an arbitrary start, for ages and rates.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[allow(clippy::disallowed_methods)] // this file is where clocks are read
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_times_are_read_as_they_are_written() {
        for text in ["2026-11-22T20:00:00.250Z", "1999-12-31T23:59:59.000Z", "2024-02-29T00:00:00.000Z"] {
            assert_eq!(WallTime::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(WallTime::parse("2026-11-22T20:00:00+08:00"), WallTime::parse("2026-11-22T12:00:00Z"));
        assert_eq!(WallTime::parse("2026-11-22T20:00:00-00:30"), WallTime::parse("2026-11-22T20:30:00Z"));
        for text in [
            "",
            "tonight",
            "2026-11-22",
            "2026-13-01T00:00:00Z",
            "2026-11-22T20:00Z",
            "2026-11-22T25:00:00Z",
            "2026-11-22T20:00:00.a€Z",
            "2026-11-22T20:00:00+9223372036854775807:00",
        ] {
            assert_eq!(WallTime::parse(text), None, "{text}");
        }
    }

    #[test]
    fn wall_time_prints_as_iso_8601() {
        assert_eq!(WallTime(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(WallTime(951_782_400_123).to_string(), "2000-02-29T00:00:00.123Z");
        assert_eq!(WallTime(1_795_305_599_999).to_string(), "2026-11-21T23:59:59.999Z");
    }

    #[test]
    fn ticks_survive_a_round_trip_after_a_year_on_air() {
        let year = 365 * 86_400 * 30_000_u64;
        assert_eq!(MediaTime::from_ticks(year + 1, 30_000).as_ticks(30_000), year + 1);
    }

    #[test]
    fn a_wall_clock_set_back_does_not_turn_the_programme_back() {
        let clock = ProgramClock::start(WallTime(WallTime::now().0 + 60_000), MediaTime(5_000_000_000));
        assert!(clock.now() >= MediaTime(5_000_000_000));
    }
}
