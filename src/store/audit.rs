//! The audit log: what was done on the admin side, as a chain that shows where somebody changed it.
//!
//! Each entry's hash covers the hash before it and all of its own columns, and the store keeps the last one apart. So a
//! changed, removed, added or moved entry shows, and a tail that was cut off. Who may write to the database can also make the
//! whole chain anew from some entry on: the hashes that the log of the process names are then other ones.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::{
    base::{clock::Timestamp, ids::AuditId},
    store::{Engine, Store, detached, error::StoreError, query::Page, run, value::clean},
};

/// What comes before the first entry.
pub const ROOT: [u8; 32] = [0; 32];

/// Entries that a check reads at a time.
const CHECK_STEP: u32 = 1_000;
/// The most characters of a text that came from outside.
const MAX_TEXT: usize = 500;

/// Something that was done, or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    pub id: AuditId,
    /// The name of the token; `None`: nobody whose token was known.
    pub actor: Option<String>,
    pub role: Option<String>,
    /// The operation, as the `OpenAPI` description calls it.
    pub action: String,
    /// What it was done to: an id or a name.
    pub target: Option<String>,
    /// HTTP status of the answer.
    pub status: u16,
    /// Never a secret, never a body.
    pub detail: Option<String>,
    /// The address that it came from.
    pub client: Option<String>,
}

impl Deed {
    /// As both stores can hold it: without NUL, and no text longer than a line or two.
    fn cleaned(self) -> Self {
        let text = |it: String| -> String { clean(&it).chars().take(MAX_TEXT).collect() };
        Self {
            actor: self.actor.map(text),
            role: self.role.map(text),
            action: text(self.action),
            target: self.target.map(text),
            detail: self.detail.map(text),
            client: self.client.map(text),
            ..self
        }
    }
}

/// A link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 1 for the first, without gaps.
    pub seq: u64,
    pub at: Timestamp,
    pub deed: Deed,
    pub hash: [u8; 32],
}

impl Entry {
    /// The link after the one that has this number and hash.
    pub(super) fn after(head: &Head, deed: Deed, at: Timestamp) -> Self {
        let seq = head.seq + 1;
        let hash = link(&head.hash, seq, at, &deed);
        Self { seq, at, deed, hash }
    }
}

/// The last entry's number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: [u8; 32],
}

impl Head {
    pub const EMPTY: Self = Self { seq: 0, hash: ROOT };
}

/// A hash over all of it, each part after its length, so that no two entries have the same text.
fn link(before: &[u8; 32], seq: u64, at: Timestamp, deed: &Deed) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"gatepost audit 1");
    hash.update(before);
    hash.update(seq.to_be_bytes());
    hash.update(at.as_micros().to_be_bytes());
    hash.update(deed.id.uuid().as_bytes());
    hash.update(deed.status.to_be_bytes());
    let texts = [
        deed.actor.as_deref(),
        deed.role.as_deref(),
        Some(deed.action.as_str()),
        deed.target.as_deref(),
        deed.detail.as_deref(),
        deed.client.as_deref(),
    ];
    for text in texts {
        match text {
            None => hash.update([0]),
            Some(text) => {
                hash.update([1]);
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text.as_bytes());
            }
        }
    }
    hash.finalize().into()
}

/// What a check of the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Entries that were looked at and fit.
    pub n_entries: u64,
    /// The last one that fits.
    pub last: Head,
    pub broken: Option<Break>,
}

/// The first link that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The number of the entry, or the one that it should have.
    pub seq: u64,
    pub why: &'static str,
}

/// A chain as it is gone through, oldest first.
#[derive(Debug)]
struct Chain(Head);

impl Chain {
    fn add(&mut self, entry: &Entry) -> Result<(), Break> {
        let seq = self.0.seq + 1;
        if entry.seq != seq {
            let why = "it is not there: the entry after the one before has another number";
            return Err(Break { seq, why });
        }
        if entry.hash != link(&self.0.hash, seq, entry.at, &entry.deed) {
            let why = "its hash does not cover what it says and the entry before it: one of them was changed";
            return Err(Break { seq, why });
        }
        self.0 = Head {
            seq,
            hash: entry.hash,
        };
        Ok(())
    }

    /// Whether it ends where the store says that it does.
    fn end(&self, head: &Head) -> Result<(), Break> {
        if self.0 == *head {
            return Ok(());
        }
        let (seq, why) = if self.0.seq < head.seq {
            (self.0.seq + 1, "it is not there: the end of the log was cut off")
        } else {
            (
                head.seq.max(1),
                "the log does not end where the store says that it does",
            )
        };
        Err(Break { seq, why })
    }
}

/// Which entries to list. All given conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub target: Option<String>,
    /// Done at or after.
    pub after: Option<Timestamp>,
    /// Done before.
    pub before: Option<Timestamp>,
    /// 1 to `query::MAX_LIMIT`.
    pub limit: u32,
    /// The number of the last entry of the page before.
    pub cursor: Option<u64>,
}

impl Store {
    /// Adds a link at the end of the chain. Whoever appends at the same time, on whatever replica, waits. An entry that is there
    /// already, by its id, is not added again.
    pub async fn append_audit(&self, deed: Deed, now: Timestamp) -> Result<Entry, StoreError> {
        let deed = deed.cleaned();
        run!(self, append_audit(deed, now))
    }

    /// Newest first.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Page<Entry, u64>, StoreError> {
        let query = query.clone();
        run!(self, audit(query))
    }

    /// Goes through the whole chain. What is appended meanwhile is gone through as well.
    pub async fn verify_audit(&self) -> Result<Verdict, StoreError> {
        let mut chain = Chain(Head::EMPTY);
        loop {
            let (after, limit) = (chain.0.seq, CHECK_STEP);
            let (entries, head) = run!(self, audit_after(after, limit))?;
            for entry in &entries {
                if let Err(broken) = chain.add(entry) {
                    return Ok(chain.verdict(Some(broken)));
                }
            }
            if entries.len() < CHECK_STEP as usize {
                let broken = chain.end(&head).err();
                return Ok(chain.verdict(broken));
            }
        }
    }
}

impl Chain {
    const fn verdict(&self, broken: Option<Break>) -> Verdict {
        Verdict {
            n_entries: self.0.seq,
            last: self.0,
            broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(action: &str) -> Deed {
        Deed {
            id: AuditId::new(),
            actor: Some("ops".to_owned()),
            role: Some("operator".to_owned()),
            action: action.to_owned(),
            target: None,
            status: 200,
            detail: None,
            client: Some("127.0.0.1".to_owned()),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn chain(n: i64) -> Vec<Entry> {
        let mut head = Head::EMPTY;
        let next = |n| {
            let entry = Entry::after(&head, deed("retry_delivery"), at(n));
            head = Head {
                seq: entry.seq,
                hash: entry.hash,
            };
            entry
        };
        (0..n).map(next).collect()
    }

    fn broken(entries: &[Entry], head: &Entry) -> Option<u64> {
        let mut chain = Chain(Head::EMPTY);
        let head = Head {
            seq: head.seq,
            hash: head.hash,
        };
        let all = entries.iter().try_for_each(|it| chain.add(it));
        all.and_then(|()| chain.end(&head)).err().map(|it| it.seq)
    }

    #[test]
    fn g10_whatever_is_changed_shows_at_its_place() {
        let whole = chain(5);
        let last = &whole[4];
        assert_eq!(broken(&whole, last), None);
        let changes: [fn(&mut Entry); 9] = [
            |it| it.at = at(9),
            |it| it.deed.actor = None,
            |it| it.deed.role = Some("admin".to_owned()),
            |it| it.deed.action.push('x'),
            |it| it.deed.target = Some(String::new()),
            |it| it.deed.status = 403,
            |it| it.deed.detail = Some("x".to_owned()),
            |it| it.deed.client = Some("127.0.0.2".to_owned()),
            |it| it.deed.id = AuditId::new(),
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut changed = whole.clone();
            change(&mut changed[2]);
            assert_eq!(broken(&changed, last), Some(3), "change {n}");
            // A hash that was made anew breaks the link after it.
            changed[2].hash = link(&changed[1].hash, 3, changed[2].at, &changed[2].deed);
            assert_eq!(broken(&changed, last), Some(4), "change {n}");
        }
        let mut removed = whole.clone();
        removed.remove(1);
        assert_eq!(broken(&removed, last), Some(2));
        let mut swapped = whole.clone();
        swapped.swap(0, 1);
        assert_eq!(broken(&swapped, last), Some(1));
        assert_eq!(broken(&whole[..3], last), Some(4), "the end was cut off");
        assert_eq!(broken(&whole, &whole[3]), Some(4), "the head was set back");
        assert_eq!(broken(&[], last), Some(1));
    }

    #[test]
    fn texts_that_touch_are_told_apart() {
        let with = |actor: &str, role: &str| Deed {
            actor: Some(actor.to_owned()),
            role: Some(role.to_owned()),
            ..deed("login")
        };
        let id = AuditId::new();
        let hash = |deed: Deed| link(&ROOT, 1, at(1), &Deed { id, ..deed });
        assert_ne!(hash(with("ab", "c")), hash(with("a", "bc")));
        assert_ne!(
            hash(with("a", "")),
            hash(Deed {
                role: None,
                ..with("a", "")
            })
        );
    }

    #[test]
    fn e03_what_is_kept_has_no_nul_and_an_end() {
        let deed = Deed {
            target: Some(format!("a\0{}", "b".repeat(900))),
            ..deed("login")
        };
        let target = deed.cleaned().target.unwrap();
        assert!(target.starts_with("a\u{fffd}b"));
        assert_eq!(target.chars().count(), MAX_TEXT);
    }
}
