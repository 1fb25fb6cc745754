//! SQLite's result codes sorted by what a caller does about them.

use sqlx::{error::DatabaseError, sqlite::SqliteError};

use crate::store::{error::StoreError, fault::Code};

pub(in crate::store) fn sort(error: &SqliteError) -> StoreError {
    let code = error.code().and_then(|it| it.parse().ok()).unwrap_or(1);
    sort_code(code, error.message())
}

/// The errors of the connection that is used without sqlx.
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(code, message) => {
                let code_text = code.to_string();
                sort_code(code.extended_code, message.as_deref().unwrap_or(&code_text))
            }
            rusqlite::Error::ToSqlConversionFailure(_) => Self::BadRow {
                reason: "a value cannot be encoded".to_owned(),
            },
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Self::Damaged {
                table: "unknown",
                reason: format!("an answer was not of the expected form: {error}"),
            },
            _ => Self::Unavailable {
                reason: format!("the driver failed: {error}"),
                source: None,
            },
        }
    }
}

/// `code` is an extended result code; its low byte is the primary one.
fn sort_code(code: i32, message: &str) -> StoreError {
    let reason = format!("SQLite says: {message} (code {code})");
    match code & 0xff {
        // SQLITE_FULL
        13 => StoreError::Full { reason },
        // SQLITE_READONLY
        8 => StoreError::ReadOnly { reason },
        // SQLITE_TOOBIG, CONSTRAINT, MISMATCH, RANGE
        18 | 19 | 20 | 25 => StoreError::BadRow { reason },
        // SQLITE_CORRUPT, NOTADB
        11 | 26 => StoreError::Unusable {
            reason,
            hint: "the file is damaged or is no SQLite database: restore it from a backup, or name another in `url`"
                .to_owned(),
        },
        // SQLITE_ERROR with a missing table or column
        1 if message.starts_with("no such") || message.contains("has no column") => StoreError::Unusable {
            reason: format!("its schema is not the expected one: {message}"),
            hint: "run `gatepost migrate`".to_owned(),
        },
        // SQLITE_CANTOPEN, PERM, AUTH
        14 | 3 | 23 => StoreError::Unusable {
            reason,
            hint: "check that the file and its directory exist and may be written by this user".to_owned(),
        },
        // SQLITE_BUSY, LOCKED, IOERR, NOMEM, PROTOCOL, INTERRUPT, and whatever is new.
        _ => StoreError::Unavailable {
            reason,
            source: Some(Box::new(Code::Sqlite(code))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f02_every_class_of_code_has_its_kind() {
        for (code, kind) in [
            (13, "Full"),
            (8, "ReadOnly"),
            (1032, "ReadOnly"),
            (18, "BadRow"),
            (2067, "BadRow"),
            (20, "BadRow"),
            (26, "Unusable"),
            (5, "Unavailable"),
            (6, "Unavailable"),
            (10, "Unavailable"),
            (1, "Unavailable"),
        ] {
            let shown = format!("{:?}", sort_code(code, "message"));
            assert!(shown.starts_with(kind), "{code}: {shown}");
        }
    }
}
