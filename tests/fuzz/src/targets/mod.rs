//! The targets: one file for each parser, or for each few that belong together.
//!
//! A target is a plain function over bytes. It lets gatepost read them and compares what it says with a reading that is
//! plainer and shares no code with it; where the two do not agree, one of them is wrong. The comparison takes the
//! plainer reading as an argument where that is worth it, so that a test can hand in a flawed one and see it noticed.

#[macro_use]
mod ensure;
mod input;
mod mac;
mod request;
mod text;
pub(crate) mod tree;
mod vectors;

pub mod challenge;
pub mod config;
pub mod credentials;
pub mod deduplication;
pub mod egress;
pub mod encoding;
pub mod filter;
pub mod forwarded;
pub mod github;
pub mod gitlab;
pub mod glob;
pub mod headers_out;
pub mod hmac;
pub mod ids;
pub mod json;
pub mod list_query;
pub mod order;
pub mod place;
pub mod retry_after;
pub mod shopify;
pub mod slack;
pub mod standard_webhooks;
pub mod stored_headers;
pub mod stripe;
pub mod template;
pub mod timestamp;
pub mod traceparent;
pub mod units;

use std::{
    path::Path,
    time::{Duration, Instant},
};

/// `Err` says where gatepost and its oracle do not agree.
pub type Verdict = Result<(), String>;

/// One parser and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]) -> Verdict,
    /// Inputs to start from, made by hand or out of the signed requests in that folder (`tests/vectors`).
    pub seeds: fn(&Path) -> Vec<Vec<u8>>,
}

/// Sorted by name. The short run goes through all of them; the long one has a program for each.
pub const ALL: &[Target] = &[
    challenge::TARGET,
    config::TARGET,
    credentials::TARGET,
    deduplication::TARGET,
    egress::TARGET,
    encoding::TARGET,
    filter::TARGET,
    forwarded::TARGET,
    github::TARGET,
    gitlab::TARGET,
    glob::TARGET,
    headers_out::TARGET,
    hmac::TARGET,
    ids::TARGET,
    json::TARGET,
    list_query::TARGET,
    order::TARGET,
    place::TARGET,
    retry_after::TARGET,
    shopify::TARGET,
    slack::TARGET,
    standard_webhooks::TARGET,
    stored_headers::TARGET,
    stripe::TARGET,
    template::TARGET,
    timestamp::TARGET,
    traceparent::TARGET,
    units::TARGET,
];

/// The longest that one input may take.
const LIMIT: Duration = Duration::from_millis(100);

/// Runs one input. One that takes too long is a fault too.
pub fn check(target: &Target, input: &[u8]) -> Verdict {
    let timed = || -> Result<Duration, String> {
        let started = Instant::now();
        (target.run)(input)?;
        Ok(started.elapsed())
    };
    let mut elapsed = timed()?;
    // A machine that is busy with something else is slow once, a slow parser every time.
    for _ in 0..4 {
        if elapsed <= LIMIT {
            return Ok(());
        }
        elapsed = elapsed.min(timed()?);
    }
    ensure!(
        elapsed <= LIMIT,
        "it takes {elapsed:?}, at most {LIMIT:?} allowed"
    );
    Ok(())
}
