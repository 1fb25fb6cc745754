//! A queue that consumers fetch from, for handlers that cannot be reached from outside: nothing is sent.

use std::time::Duration;

use crate::destination::{
    Message,
    headers::{Outbound, one_value_each},
};

/// What the operator says of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// For how long a delivery is a consumer's, where that one does not say so itself.
    pub lease: Duration,
}

/// What consumers are given of an event besides its body.
#[derive(Debug)]
pub struct Queue {
    pub settings: Settings,
    outbound: Outbound,
}

impl Queue {
    pub fn new(settings: Settings, outbound: Outbound) -> Self {
        Self { settings, outbound }
    }

    /// The headers that a handler behind a URL would get, each with one value.
    pub fn headers(&self, message: &Message) -> Vec<(String, String)> {
        one_value_each(&self.outbound.headers(message))
    }
}
