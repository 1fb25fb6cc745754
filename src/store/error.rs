//! What can go wrong in the store, sorted by what a caller does about it.

/// A fault of the store. Texts never hold bodies, header values or credentials.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Down, unreachable, restarting, locked, out of connections: may work again by itself.
    #[error("the store is not available: {reason}")]
    Unavailable {
        reason: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Out of space.
    #[error("the store is full: {reason}")]
    Full { reason: String },
    /// The store takes no writes: a read-only file or a standby.
    #[error("the store is read-only: {reason}")]
    ReadOnly { reason: String },
    /// It cannot hold this very row (a value it has no form for). The other rows of a batch are not to blame.
    #[error("the store cannot hold a row: {reason}")]
    BadRow { reason: String },
    /// What it holds cannot be read back.
    #[error("the store holds a damaged row in `{table}`: {reason}")]
    Damaged { table: &'static str, reason: String },
    /// It may not be used as it is: not durable, too old or too new a schema, a second process on one SQLite file.
    #[error("the store cannot be used: {reason}")]
    Unusable {
        reason: String,
        /// What the operator should do.
        hint: String,
    },
    #[error("no {what} with the id `{id}`")]
    NotFound { what: &'static str, id: String },
    /// The move is not a legal one for the row's status.
    #[error("{what} `{id}` is {status}, so it cannot be {wanted}")]
    Conflict {
        what: &'static str,
        id: String,
        status: String,
        wanted: &'static str,
    },
}

impl StoreError {
    pub(super) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }

    /// Stable name for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Full { .. } => "full",
            Self::ReadOnly { .. } => "read_only",
            Self::BadRow { .. } => "bad_row",
            Self::Damaged { .. } => "damaged",
            Self::Unusable { .. } => "unusable",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { .. } => "conflict",
        }
    }

    /// Whether one row of a batch is to blame, so that halving the batch finds it.
    pub const fn is_row_fault(&self) -> bool {
        matches!(self, Self::BadRow { .. })
    }
}
