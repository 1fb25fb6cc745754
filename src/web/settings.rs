//! The settings that are in force, as people may see them: every key with where it was said, and never a secret.

use std::{collections::BTreeMap, fmt, sync::Arc};

use arc_swap::ArcSwap;

use crate::base::clock::Timestamp;

/// Beginnings of the keys that a reload swaps. All others hold until a restart.
const SWAPPED: [&str; 3] = ["sources", "destinations", "routes"];

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Dotted: `sources.stripe.provider`.
    pub key: String,
    /// As TOML. What a reference refers to is not in it.
    pub value: String,
    /// `default`, `file`, `flag`, or the name of the variable.
    pub place: String,
}

impl Setting {
    fn is_swapped(&self) -> bool {
        let first = self.key.split('.').next();
        first.is_some_and(|it| SWAPPED.contains(&it))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.key, self.value, self.place)
    }
}

/// A config as it was read.
#[derive(Debug, Clone)]
pub struct Effective {
    /// By machine's wall clock.
    pub read_at: Timestamp,
    /// `None`: no file was found, and the defaults hold.
    pub file: Option<String>,
    /// In the order of their keys.
    pub settings: Vec<Setting>,
    pub warnings: Vec<String>,
    /// What the file says of keys that take a restart, where something else is in force.
    pub pending: Vec<Setting>,
}

impl Effective {
    pub const fn new(
        read_at: Timestamp,
        file: Option<String>,
        settings: Vec<Setting>,
        warnings: Vec<String>,
    ) -> Self {
        Self {
            read_at,
            file,
            settings,
            warnings,
            pending: Vec::new(),
        }
    }

    /// What holds once `new` was read while this was in force.
    fn after(&self, new: Self) -> Self {
        let (swapped, others): (Vec<_>, Vec<_>) = new.settings.into_iter().partition(Setting::is_swapped);
        let kept: Vec<_> = self.settings.iter().filter(|it| !it.is_swapped()).collect();
        let values: BTreeMap<_, _> = kept.iter().map(|it| (&it.key, &it.value)).collect();
        let pending = others
            .into_iter()
            .filter(|it| values.get(&it.key) != Some(&&it.value));
        let pending = pending.collect();
        let mut settings: Vec<_> = kept.into_iter().cloned().chain(swapped).collect();
        settings.sort_by(|a, b| a.key.cmp(&b.key));
        Self {
            settings,
            pending,
            ..new
        }
    }
}

/// What holds now. Clones share it.
#[derive(Debug, Clone)]
pub struct InForce(Arc<ArcSwap<Effective>>);

impl InForce {
    pub fn new(effective: Effective) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(effective)))
    }

    /// The config was read anew: of it sources, destinations and routes hold, of the one before all else.
    pub fn reload(&self, new: Effective) {
        let next = self.0.load().after(new);
        self.0.store(Arc::new(next));
    }

    pub(crate) fn current(&self) -> Arc<Effective> {
        self.0.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effective(settings: &[(&str, &str)]) -> Effective {
        let setting = |(key, value): &(&str, &str)| Setting {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            place: "file".to_owned(),
        };
        Effective::new(
            Timestamp::EPOCH,
            None,
            settings.iter().map(setting).collect(),
            Vec::new(),
        )
    }

    fn texts(settings: &[Setting]) -> Vec<String> {
        settings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_reload_swaps_sources_and_says_what_waits_for_a_restart() {
        let in_force = InForce::new(effective(&[
            ("log.filter", "1"),
            ("routes", "1"),
            ("server.listen", "1"),
            ("sources.a.rate", "1"),
        ]));
        in_force.reload(effective(&[
            ("log.filter", "1"),
            ("routes", "2"),
            ("server.listen", "2"),
            ("sources.b.rate", "2"),
        ]));
        let now = in_force.current();
        assert_eq!(
            texts(&now.settings),
            [
                "log.filter = 1  # file",
                "routes = 2  # file",
                "server.listen = 1  # file",
                "sources.b.rate = 2  # file"
            ]
        );
        assert_eq!(texts(&now.pending), ["server.listen = 2  # file"]);
        // Said again as it was, and nothing waits any more.
        in_force.reload(effective(&[("log.filter", "1"), ("server.listen", "1")]));
        assert_eq!(texts(&in_force.current().pending), Vec::<String>::new());
    }
}
