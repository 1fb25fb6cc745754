//! What counts as the same thing said again, under another id.

use std::time::Duration;

use crate::event::Hash;

/// Of the events of a key, one within the window goes a route's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// A hash of what the route compares.
    pub key: Hash,
    /// From the first one on. A repeat does not prolong it.
    pub within: Duration,
}
