//! How often one address may fail, and how many publishers it may have. Pure: times are given.
//!
//! Memory is bounded: when too many addresses have failed, the one that failed longest ago is forgotten. An address that
//! was let in is not barred while it is remembered: a second encoder with an old key must not lock out the first.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// Failed tries that an address has in hand; one comes back every [`REGAIN`].
const TRIES: u32 = 10;
const REGAIN: Duration = Duration::from_secs(6);
/// Addresses remembered.
const ADDRESSES: usize = 4096;
/// Addresses remembered that were let in.
const KNOWN: usize = 64;

/// Who counts as one: an address, and in IPv6 the network of a household.
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Where somebody comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    household: IpAddr,
    /// By datagrams, whose sender can be made up.
    is_datagram: bool,
}

impl Origin {
    /// Of an address.
    pub fn new(address: IpAddr, is_datagram: bool) -> Self {
        Self { household: household(address), is_datagram }
    }
}

/// The count.
#[derive(Debug, Default)]
pub struct Limits {
    /// Failures not yet forgiven and when the count was true, since the start.
    failures: HashMap<Origin, (u32, Duration)>,
    publishers: HashMap<Origin, usize>,
    /// Let in before, the latest last.
    known: VecDeque<Origin>,
}

impl Limits {
    /// Whether `address` has to wait after failing too often.
    pub fn is_barred(&mut self, address: Origin, now: Duration) -> bool {
        self.forgiven(address, now) >= TRIES && !self.known.contains(&address)
    }

    /// A try of `address` failed.
    pub fn failed(&mut self, address: Origin, now: Duration) {
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

    fn forgiven(&mut self, address: Origin, now: Duration) -> u32 {
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
    pub fn enter(&mut self, address: Origin, most: usize) -> bool {
        let count = self.publishers.entry(address).or_default();
        if *count >= most {
            return false;
        }
        *count += 1;
        if !self.known.contains(&address) {
            self.known.push_back(address);
            if self.known.len() > KNOWN {
                self.known.pop_front();
            }
        }
        true
    }

    /// Gives the place back.
    pub fn leave(&mut self, address: Origin) {
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

    fn address(n: u32) -> Origin {
        Origin::new(IpAddr::from(n.to_be_bytes()), false)
    }

    #[test]
    fn an_ipv6_network_is_one_and_a_mapped_address_is_its_ipv4() {
        let at = |text: &str| household(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1:2:3"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }

    #[test]
    fn who_was_let_in_is_not_barred_and_datagrams_bar_nobody_else() {
        let mut limits = Limits::default();
        assert!(limits.enter(address(1), 2));
        for n in 0..20 {
            limits.failed(address(1), SECOND / 10 * n);
            limits.failed(Origin::new(IpAddr::from([0, 0, 0, 2]), true), SECOND / 10 * n);
        }
        assert!(!limits.is_barred(address(1), SECOND * 2) && !limits.is_barred(address(2), SECOND * 2));
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
