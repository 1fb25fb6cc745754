//! How often logins may fail.
//!
//! Tokens cannot be guessed; what is limited is the noise, and what the audit log keeps of it. In this process' memory: each replica
//! counts its own.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_mins(1);
/// From one address, which is a whole network of IPv6.
const PER_ADDRESS: usize = 5;
/// From all addresses together. More than from one: five failures of a stranger must not keep everybody out.
const IN_ALL: usize = 60;

/// Logins of the last minute that failed or are under way; at most `IN_ALL`.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<VecDeque<(Instant, IpAddr)>>);

/// A login that is under way, and counts as failed until it is forgiven.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    attempts: &'a Attempts,
    at: Instant,
    from: IpAddr,
}

impl Attempts {
    /// Or how long to wait.
    pub(crate) fn begin(&self, from: IpAddr, now: Instant) -> Result<Attempt<'_>, Duration> {
        let from = network(from);
        let mut recent = self.recent();
        while recent.front().is_some_and(|(at, _)| *at + WINDOW <= now) {
            recent.pop_front();
        }
        let n_own = recent.iter().filter(|it| it.1 == from).count();
        let first = if recent.len() >= IN_ALL {
            recent.front()
        } else if n_own >= PER_ADDRESS {
            recent.iter().find(|it| it.1 == from)
        } else {
            None
        };
        if let Some((at, _)) = first {
            return Err((*at + WINDOW).duration_since(now));
        }
        recent.push_back((now, from));
        Ok(Attempt {
            attempts: self,
            at: now,
            from,
        })
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, IpAddr)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// It did not fail, or not by the fault of who tried.
    pub(crate) fn forgive(&self) {
        let mut recent = self.attempts.recent();
        let found = recent.iter().rposition(|it| *it == (self.at, self.from));
        if let Some(idx) = found {
            recent.remove(idx);
        }
    }
}

/// Whoever has one address of IPv6 has the 2^64 around it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) => Ipv6Addr::from_bits(it.to_bits() >> 64 << 64).into(),
        it @ IpAddr::V4(_) => it,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn g03_the_sixth_failure_within_a_minute_is_refused() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for n in 0..5 {
            attempts.begin(ip("192.0.2.1"), at(n * 10)).unwrap();
        }
        let wait = attempts.begin(ip("192.0.2.1"), at(50)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(10));
        attempts.begin(ip("192.0.2.2"), at(50)).unwrap();
        attempts.begin(ip("192.0.2.1"), at(60)).unwrap();
        attempts.begin(ip("192.0.2.1"), at(61)).unwrap_err();
    }

    #[test]
    fn a_login_that_works_does_not_count() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..100 {
            attempts.begin(ip("192.0.2.1"), now).unwrap().forgive();
        }
        assert!(attempts.recent().is_empty());
    }

    #[test]
    fn a_network_of_addresses_counts_as_one() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..5 {
            attempts.begin(ip(&format!("2001:db8::{n}")), now).unwrap();
        }
        attempts.begin(ip("2001:db8::ffff:1"), now).unwrap_err();
        attempts.begin(ip("2001:db8:0:1::1"), now).unwrap();
        for _ in 0..5 {
            attempts.begin(ip("::ffff:192.0.2.7"), now).unwrap();
        }
        attempts.begin(ip("192.0.2.7"), now).unwrap_err();
    }

    #[test]
    fn many_addresses_are_limited_together_and_the_memory_with_them() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let n_admitted = (0..=255)
            .filter(|n| attempts.begin(ip(&format!("192.0.2.{n}")), now).is_ok())
            .count();
        assert_eq!(n_admitted, IN_ALL);
        assert_eq!(attempts.recent().len(), IN_ALL);
    }
}
