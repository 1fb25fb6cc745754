//! sqlx's errors sorted into ours. Each engine has its own table of codes.

use sqlx::{postgres::PgDatabaseError, sqlite::SqliteError};

use crate::store::{error::StoreError, postgres::error as postgres_error, sqlite::error as sqlite_error};

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                if let Some(it) = database.try_downcast_ref::<PgDatabaseError>() {
                    postgres_error::sort(it.code(), it.message())
                } else if let Some(it) = database.try_downcast_ref::<SqliteError>() {
                    sqlite_error::sort(it)
                } else {
                    unavailable("it answered with an unknown error", error)
                }
            }
            // A value that could not be put on the wire: too long, or of a form that sqlx has no code for.
            sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => Self::BadRow {
                reason: "a value cannot be encoded".to_owned(),
            },
            sqlx::Error::ColumnDecode { index, .. } => Self::Damaged {
                table: "unknown",
                reason: format!("column {index} does not hold what it should"),
            },
            sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => {
                Self::Damaged {
                    table: "unknown",
                    reason: "an answer was not of the expected form".to_owned(),
                }
            }
            sqlx::Error::Configuration(_) => Self::Unusable {
                reason: format!("its settings are wrong: {error}"),
                hint: "correct the store's `url`".to_owned(),
            },
            sqlx::Error::Tls(_) => unavailable("TLS failed", error),
            sqlx::Error::Io(_) => unavailable("the connection failed", error),
            _ => unavailable("the driver failed", error),
        }
    }
}

fn unavailable(what: &str, error: sqlx::Error) -> StoreError {
    StoreError::Unavailable {
        reason: format!("{what}: {error}"),
        source: Some(Box::new(error)),
    }
}

/// The engine's own code, kept as the source of an `Unavailable` for the decision to try again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Code {
    #[error("SQLSTATE {0}")]
    Postgres(String),
    /// An extended result code.
    #[error("result code {0}")]
    Sqlite(i32),
}

/// The store undid the transaction and asks for another try: a deadlock or a serialization failure.
pub(super) fn is_rolled_back(error: &StoreError) -> bool {
    let source = source_of(error).and_then(|it| it.downcast_ref());
    matches!(source, Some(Code::Postgres(code)) if code == "40001" || code == "40P01")
}

/// The connection is of no more use. What it was doing may or may not have been committed.
pub(super) fn is_connection_lost(error: &StoreError) -> bool {
    let Some(source) = source_of(error) else {
        return false;
    };
    match source.downcast_ref() {
        Some(Code::Postgres(code)) => code.starts_with("08") || code.starts_with("57P"),
        // After a failed write or fsync nobody knows what the file holds: it is opened anew, which reads it anew.
        Some(Code::Sqlite(code)) => code & 0xff == 10,
        None => source.is::<sqlx::Error>(),
    }
}

/// Lost because the server had closed it meanwhile, so that another connection may do.
pub(super) fn is_stale(error: &StoreError) -> bool {
    let is_sqlite = source_of(error).is_some_and(|it| matches!(it.downcast_ref(), Some(Code::Sqlite(_))));
    is_connection_lost(error) && !is_sqlite
}

fn source_of(error: &StoreError) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
    match error {
        StoreError::Unavailable { source, .. } => source.as_deref(),
        _ => None,
    }
}
