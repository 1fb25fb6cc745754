//! Typed ids: `UUIDv7` inside (they sort by time), `TypeID` text outside (`evt_01jd...`).

use std::{fmt, str::FromStr, time::Duration};

use uuid::Uuid;

use crate::base::clock::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 26 characters of five bits carry the 128 bits of a UUID, with two bits to spare.
const TEXT_LEN: usize = 26;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an id of this kind: expected `{prefix}_` and 26 characters of 0-9 a-z without i, l, o, u"
)]
pub struct BadId {
    pub prefix: &'static str,
    /// What was given, cut to 64 characters and without control characters: it goes to terminals and logs.
    pub text: String,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id, later than every one this process made before.
            #[expect(clippy::new_without_default, reason = "a default that differs each time would surprise")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// The least one that can be made at that time, to the millisecond: where a search by time begins.
            pub fn least_at(at: Timestamp) -> Self {
                Self(least_at(at))
            }

            /// When this machine's wall clock says that it was made, to the millisecond.
            pub fn made_at(self) -> Option<Timestamp> {
                let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
                let at = Timestamp::from_unix_seconds(i64::try_from(seconds).ok()?);
                Some(at.plus(Duration::from_nanos(nanos.into())))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_type_id(f, $prefix, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                read_type_id($prefix, text).map(Self).ok_or_else(|| BadId {
                    prefix: $prefix,
                    text: shown(text),
                })
            }
        }
    };
}

typed_id!(
    /// One event.
    EventId, "evt"
);
typed_id!(
    /// One event for one route.
    DeliveryId, "dlv"
);
typed_id!(
    /// One try of one delivery.
    AttemptId, "att"
);
typed_id!(
    /// One HTTP call that arrived.
    RequestId, "req"
);
typed_id!(
    /// One piece of bulk work.
    JobId, "job"
);
typed_id!(
    /// One token of the admin side that is in the store.
    TokenId, "tok"
);
typed_id!(
    /// One entry of the audit log.
    AuditId, "aud"
);
typed_id!(
    /// What is wrong at one place.
    IssueId, "iss"
);
typed_id!(
    /// One change of an issue for one notification.
    NoticeId, "ntc"
);
typed_id!(
    /// What a route made of events, from one change of it to the next.
    ProgramId, "prg"
);
typed_id!(
    /// One running gatepost process, made at its start.
    WorkerId, "wrk"
);

fn least_at(at: Timestamp) -> Uuid {
    let ms = u128::try_from(at.as_micros() / 1000).unwrap_or(0) & ((1 << 48) - 1);
    Uuid::from_u128((ms << 80) | (7 << 76) | (2 << 62))
}

fn write_type_id(f: &mut fmt::Formatter<'_>, prefix: &str, uuid: Uuid) -> fmt::Result {
    let bits = uuid.as_u128();
    let mut text = [0_u8; TEXT_LEN];
    for (idx, slot) in text.iter_mut().enumerate() {
        let shift = 5 * (TEXT_LEN - 1 - idx);
        *slot = ALPHABET[((bits >> shift) & 31) as usize];
    }
    write!(f, "{prefix}_{}", String::from_utf8_lossy(&text))
}

fn shown(text: &str) -> String {
    let visible = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().take(64).map(visible).collect()
}

fn read_type_id(prefix: &str, text: &str) -> Option<Uuid> {
    let code = text.strip_prefix(prefix)?.strip_prefix('_')?.as_bytes();
    if code.len() != TEXT_LEN || code[0] > b'7' {
        return None;
    }
    let mut bits = 0_u128;
    for c in code {
        let digit = ALPHABET.iter().position(|it| it == c)?;
        bits = (bits << 5) | digit as u128;
    }
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = EventId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        let zero = EventId::from_uuid(Uuid::nil());
        assert_eq!(zero.to_string(), "evt_00000000000000000000000000");
        let max = EventId::from_uuid(Uuid::max());
        assert_eq!(max.to_string(), "evt_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(max.to_string().parse(), Ok(max));
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in [
            "",
            "evt_",
            "evt",
            "dlv_00000000000000000000000000",
            "evt_80000000000000000000000000",
            "evt_0000000000000000000000000u",
            "evt_0000000000000000000000000",
            "evt_000000000000000000000000000",
            "evt_0000000000000000000000000\0",
            "EVT_00000000000000000000000000",
        ] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_given_is_shown_without_control_characters() {
        let fault = "\u{1b}[31m\r\n".repeat(20).parse::<EventId>().unwrap_err();
        assert!(fault.text.starts_with("\u{fffd}[31m\u{fffd}"), "{fault}");
        assert!(!fault.to_string().contains(char::is_control), "{fault:?}");
    }

    #[test]
    fn a_search_by_time_begins_at_the_least_id_of_it() {
        let id = EventId::new();
        let made_at = id.made_at().unwrap();
        assert!(EventId::least_at(made_at) <= id);
        assert!(EventId::least_at(made_at.plus(Duration::from_millis(1))) > id);
        assert_eq!(EventId::least_at(made_at).made_at(), Some(made_at));
        assert!(EventId::least_at(Timestamp::from_micros(-1)) < id);
    }

    #[test]
    fn later_ids_sort_later() {
        let ids: Vec<_> = (0..1000).map(|_| EventId::new()).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().map(ToString::to_string).is_sorted());
    }
}
