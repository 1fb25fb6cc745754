//! The rules: what counts as wrong. `find` says what each finds in what it is given.

pub(super) mod find;

use std::time::Duration;

use crate::store::issue::Severity;

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Deliveries that were given up.
    DeadLetters,
    /// A destination whose breaker is not closed.
    Failing,
    /// A destination or a route that gatepost holds back.
    Held,
    /// Many requests to a source that were refused for one cause.
    Refusals,
    /// What waits for a destination past its time.
    Backlog,
    /// The ledger does not add up, or work is stuck.
    Ledger,
    /// A source that says nothing for longer than it usually does.
    Silence,
    /// The store is slow, or its disk is nearly full.
    Store,
    /// A certificate or a token that ends soon.
    Expiry,
}

impl Rule {
    pub const ALL: [Self; 9] = [
        Self::DeadLetters,
        Self::Failing,
        Self::Held,
        Self::Refusals,
        Self::Backlog,
        Self::Ledger,
        Self::Silence,
        Self::Store,
        Self::Expiry,
    ];

    /// Its key in the config, and its name everywhere else.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetters => "dead_letters",
            Self::Failing => "failing",
            Self::Held => "held",
            Self::Refusals => "refusals",
            Self::Backlog => "backlog",
            Self::Ledger => "ledger",
            Self::Silence => "silence",
            Self::Store => "store",
            Self::Expiry => "expiry",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// What the operator says of every rule.
#[derive(Debug, Clone, Copy)]
pub struct Common {
    pub is_enabled: bool,
    pub severity: Severity,
}

/// The rules, each with what else it obeys.
#[derive(Debug, Clone)]
pub struct Rules {
    pub dead_letters: (Common, AtLeast),
    pub failing: (Common, After),
    pub held: (Common, After),
    pub refusals: (Common, AtLeast, Within),
    pub backlog: (Common, OlderThan),
    pub ledger: Common,
    pub silence: (Common, Silence),
    pub store: (Common, Strain),
    pub expiry: (Common, Within),
}

/// So many make an issue; fewer do not.
#[derive(Debug, Clone, Copy)]
pub struct AtLeast(pub u64);
/// What lasts so long makes an issue.
#[derive(Debug, Clone, Copy)]
pub struct After(pub Duration);
/// How far from now: what is counted lies behind, what ends lies ahead.
#[derive(Debug, Clone, Copy)]
pub struct Within(pub Duration);
/// What waits for longer than that makes an issue.
#[derive(Debug, Clone, Copy)]
pub struct OlderThan(pub Duration);

/// A source is silent after so many times its usual longest silence, and never sooner than that.
#[derive(Debug, Clone, Copy)]
pub struct Silence {
    pub times: u32,
    pub at_least: Duration,
}
/// A store is slow where each of a few writes takes longer, and nearly full where fewer bytes are free.
#[derive(Debug, Clone, Copy)]
pub struct Strain {
    pub slower_than: Duration,
    pub free_below: u64,
}

impl Rules {
    pub const fn common(&self, rule: Rule) -> Common {
        match rule {
            Rule::DeadLetters => self.dead_letters.0,
            Rule::Failing => self.failing.0,
            Rule::Held => self.held.0,
            Rule::Refusals => self.refusals.0,
            Rule::Backlog => self.backlog.0,
            Rule::Ledger => self.ledger,
            Rule::Silence => self.silence.0,
            Rule::Store => self.store.0,
            Rule::Expiry => self.expiry.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for rule in Rule::ALL {
            assert_eq!(Rule::parse(rule.as_str()), Some(rule));
        }
    }
}
