//! What the operator of a source gives beside secrets, and where it goes in the row: `{option:audience}`.

use std::collections::{BTreeMap, BTreeSet};

use crate::provider::{
    Provider,
    scheme::{Jwt, Part, Scheme, Signature, Text},
};

impl Provider {
    /// What the operator must give a source beside secrets, by name.
    pub fn options<'a>(&'a self) -> BTreeSet<&'a str> {
        let of_scheme = |it: &'a Scheme| match it {
            Scheme::Signature(it) => it.options(),
            Scheme::Jwt(it) => it.options(),
            _ => BTreeSet::new(),
        };
        self.schemes.iter().flat_map(of_scheme).collect()
    }

    /// The row for one source, with what its operator gave.
    #[must_use]
    pub fn with_options(mut self, given: &BTreeMap<String, String>) -> Self {
        for scheme in self.schemes.to_mut() {
            match scheme {
                Scheme::Signature(it) => it.fill(given),
                Scheme::Jwt(it) => it.fill(given),
                Scheme::Token(_) | Scheme::Basic | Scheme::Unverified => {}
            }
        }
        for handshake in self.handshakes.to_mut() {
            for (name, value) in given {
                if handshake.body.contains("{option:") {
                    let body = handshake.body.replace(&format!("{{option:{name}}}"), value);
                    handshake.body = Text::Owned(body);
                }
            }
        }
        self
    }
}

impl Signature {
    /// The names of what the operator must give for it.
    pub fn options(&self) -> BTreeSet<&str> {
        let signed = self
            .signed
            .iter()
            .chain(self.key.iter())
            .filter_map(|it| match it {
                Part::Option(name) => Some(name.as_ref()),
                _ => None,
            });
        let patterns = self.when.iter().flat_map(|it| it.patterns.iter());
        let prefixes = self.accepted.iter().filter_map(|it| option_before(&it.prefix));
        signed
            .chain(patterns.filter_map(option_in))
            .chain(prefixes)
            .collect()
    }

    /// Puts in what the operator gave.
    pub fn fill(&mut self, given: &BTreeMap<String, String>) {
        let value = |name: &str| given.get(name).map(|it| Text::Owned(it.clone()));
        for part in self.signed.to_mut().iter_mut().chain(self.key.to_mut()) {
            if let Part::Option(name) = part
                && let Some(value) = value(name)
            {
                *part = Part::Literal(value);
            }
        }
        for pattern in self.when.to_mut().iter_mut().flat_map(|it| it.patterns.to_mut()) {
            if let Some(value) = option_in(pattern).and_then(value) {
                *pattern = value;
            }
        }
        for rule in self.accepted.to_mut() {
            if let Some(value) = option_before(&rule.prefix).and_then(value) {
                let (_, rest) = rule.prefix.split_once('}').unwrap_or_default();
                rule.prefix = Text::Owned(format!("{value}{rest}"));
            }
        }
    }
}

impl Jwt {
    pub fn options(&self) -> BTreeSet<&str> {
        self.claims
            .iter()
            .flat_map(|(_, it)| it.iter())
            .filter_map(option_in)
            .collect()
    }

    pub fn fill(&mut self, given: &BTreeMap<String, String>) {
        for pattern in self.claims.to_mut().iter_mut().flat_map(|(_, it)| it.to_mut()) {
            if let Some(value) = option_in(pattern).and_then(|it| given.get(it)) {
                *pattern = Text::Owned(value.clone());
            }
        }
    }
}

/// A pattern that stands for what the operator gives.
fn option_in(pattern: &Text) -> Option<&str> {
    pattern.strip_prefix("{option:")?.strip_suffix('}')
}

/// The option that a prefix begins with.
fn option_before(prefix: &Text) -> Option<&str> {
    let (name, _) = prefix.strip_prefix("{option:")?.split_once('}')?;
    Some(name)
}
