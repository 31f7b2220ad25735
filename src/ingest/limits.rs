//! How often one address may fail, and how many publishers it may have. Pure: times are given.
//!
//! Memory is bounded: when too many addresses have failed, the one that failed longest ago is forgotten.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Failed tries that an address has in hand; one comes back every [`REGAIN`].
const TRIES: u32 = 10;
const REGAIN: Duration = Duration::from_secs(6);
/// Addresses remembered.
const ADDRESSES: usize = 4096;

/// The count.
#[derive(Debug, Default)]
pub struct Limits {
    /// Failures not yet forgiven and when the count was true, since the start.
    failures: HashMap<IpAddr, (u32, Duration)>,
    publishers: HashMap<IpAddr, usize>,
}

impl Limits {
    /// Whether `address` has to wait after failing too often.
    pub fn is_barred(&mut self, address: IpAddr, now: Duration) -> bool {
        self.forgiven(address, now) >= TRIES
    }

    /// A try of `address` failed.
    pub fn failed(&mut self, address: IpAddr, now: Duration) {
        let failures = self.forgiven(address, now) + 1;
        if self.failures.len() >= ADDRESSES
            && !self.failures.contains_key(&address)
            && let Some(oldest) =
                self.failures.iter().min_by_key(|(_, (_, at))| *at).map(|(address, _)| *address)
        {
            self.failures.remove(&oldest);
        }
        self.failures.insert(address, (failures.min(TRIES), now));
    }

    fn forgiven(&mut self, address: IpAddr, now: Duration) -> u32 {
        let Some((failures, at)) = self.failures.get(&address).copied() else { return 0 };
        let regained = (now.saturating_sub(at).as_millis() / REGAIN.as_millis()) as u32;
        let left = failures.saturating_sub(regained);
        if left == 0 {
            self.failures.remove(&address);
        } else if regained > 0 {
            self.failures.insert(address, (left, at + REGAIN * regained));
        }
        left
    }

    /// Takes a place for a publisher of `address`, of `most`; `false` when all are taken.
    pub fn enter(&mut self, address: IpAddr, most: usize) -> bool {
        let count = self.publishers.entry(address).or_default();
        if *count >= most {
            return false;
        }
        *count += 1;
        true
    }

    /// Gives the place back.
    pub fn leave(&mut self, address: IpAddr) {
        if let Some(count) = self.publishers.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.publishers.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn ten_failures_bar_an_address_and_time_forgives_them() {
        let mut limits = Limits::default();
        for n in 0..10 {
            assert!(!limits.is_barred(address(1), SECOND / 10 * n));
            limits.failed(address(1), SECOND / 10 * n);
        }
        assert!(limits.is_barred(address(1), SECOND));
        assert!(!limits.is_barred(address(2), SECOND), "others are not barred");
        assert!(!limits.is_barred(address(1), SECOND * 8));
        limits.failed(address(1), SECOND * 8);
        assert!(limits.is_barred(address(1), SECOND * 9));
        assert!(!limits.is_barred(address(1), SECOND * 300));
        assert!(limits.failures.is_empty());
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let mut limits = Limits::default();
        for n in 0..10_000 {
            limits.failed(address(n), SECOND * n);
        }
        assert!(limits.failures.len() <= ADDRESSES);
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let mut limits = Limits::default();
        assert!(limits.enter(address(1), 2) && limits.enter(address(1), 2));
        assert!(!limits.enter(address(1), 2) && limits.enter(address(2), 2));
        limits.leave(address(1));
        assert!(limits.enter(address(1), 2));
    }
}
