//! SQLSTATEs sorted by what a caller does about them.

use crate::store::{error::StoreError, fault::Code};

/// The message is the server's primary one, which names columns and types but never shows a row; the detail, which
/// does, is left out. Data errors do quote the value that did not fit, so theirs is replaced.
pub(in crate::store) fn sort(code: &str, message: &str) -> StoreError {
    let reason = format!("Postgres says: {message} (SQLSTATE {code})");
    match code {
        "53100" => StoreError::Full { reason },
        "25006" => StoreError::ReadOnly { reason },
        // Undefined tables and columns: the schema is older or newer than this program.
        "42P01" | "42703" | "3F000" => StoreError::Unusable {
            reason: format!("its schema is not the expected one: {message}"),
            hint: "run `gatepost migrate`".to_owned(),
        },
        "28000" | "28P01" | "3D000" => StoreError::Unusable {
            reason,
            hint: "check user, password and database in the store's `url`".to_owned(),
        },
        "42501" => StoreError::Unusable {
            reason,
            hint: "grant the user of the store's `url` the rights on gatepost's tables".to_owned(),
        },
        // What was prepared before is not there, or already there: the session is not ours.
        "26000" | "42P05" => behind_a_pooler(reason),
        "08P01" if message.contains("startup parameter") => behind_a_pooler(reason),
        _ if code.starts_with("22") || code.starts_with("23") || code == "54000" => StoreError::BadRow {
            reason: format!("Postgres refused a value (SQLSTATE {code})"),
        },
        // 08 connections, 40 rolled back, 53 resources, 55 locks, 57 interventions, and whatever is new.
        _ => StoreError::Unavailable {
            reason,
            source: Some(Box::new(Code::Postgres(code.to_owned()))),
        },
    }
}

fn behind_a_pooler(reason: String) -> StoreError {
    StoreError::Unusable {
        reason,
        hint: "is there a PgBouncer or its like in between? Set `store.pool_mode` to \"transaction\""
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f02_every_class_of_sqlstate_has_its_kind() {
        for (code, kind) in [
            ("53100", "Full"),
            ("25006", "ReadOnly"),
            ("22021", "BadRow"),
            ("23505", "BadRow"),
            ("54000", "BadRow"),
            ("42P01", "Unusable"),
            ("28P01", "Unusable"),
            ("26000", "Unusable"),
            ("42P05", "Unusable"),
            ("57P01", "Unavailable"),
            ("57P03", "Unavailable"),
            ("53300", "Unavailable"),
            ("55P03", "Unavailable"),
            ("57014", "Unavailable"),
            ("40P01", "Unavailable"),
            ("40001", "Unavailable"),
            ("08006", "Unavailable"),
            ("XX000", "Unavailable"),
        ] {
            let shown = format!("{:?}", sort(code, "message"));
            assert!(shown.starts_with(kind), "{code}: {shown}");
        }
    }

    #[test]
    fn what_a_pooler_refuses_is_told_from_a_broken_connection() {
        let shown = sort("08P01", "unsupported startup parameter: options");
        assert!(
            matches!(&shown, StoreError::Unusable { hint, .. } if hint.contains("pool_mode")),
            "{shown:?}"
        );
        let shown = sort("08P01", "expected length 7, got 8");
        assert!(matches!(shown, StoreError::Unavailable { .. }), "{shown:?}");
    }

    #[test]
    fn g07_a_data_error_does_not_show_the_value() {
        let shown = format!("{:?}", sort("22P02", "invalid input syntax: \"hunter2\""));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
