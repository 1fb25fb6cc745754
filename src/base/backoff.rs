//! How long to wait before trying again.

use std::time::Duration;

/// Exponential backoff with full jitter: a time between zero and `first * 2^n_failures`, at most `cap`.
///
/// `random` lies in 0..1; the caller draws it, so that a test can choose it.
pub fn full_jitter(n_failures: u32, first: Duration, cap: Duration, random: f64) -> Duration {
    let ceiling = first
        .checked_mul(2_u32.checked_pow(n_failures).unwrap_or(u32::MAX))
        .map_or(cap, |it| it.min(cap));
    ceiling.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let wait = |n, random| full_jitter(n, Duration::from_secs(10), Duration::from_mins(1), random);
        assert_eq!(wait(0, 1.0), Duration::from_secs(10));
        assert_eq!(wait(1, 1.0), Duration::from_secs(20));
        assert_eq!(wait(2, 0.5), Duration::from_secs(20));
        assert_eq!(wait(3, 1.0), Duration::from_mins(1));
        assert_eq!(wait(u32::MAX, 1.0), Duration::from_mins(1));
        assert_eq!(wait(5, 0.0), Duration::ZERO);
    }
}
