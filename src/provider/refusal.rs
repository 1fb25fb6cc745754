//! The stable names of refusals.

use crate::provider::Refusal;

impl Refusal {
    /// Stable name: for metrics, the store and the docs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned { .. } => "unsigned",
            Self::MalformedSignature { .. } => "malformed_signature",
            Self::SignatureMismatch { .. } => "signature_mismatch",
            Self::TimestampMissing { .. } => "timestamp_missing",
            Self::MalformedTimestamp { .. } => "malformed_timestamp",
            Self::TimestampStale { .. } => "timestamp_stale",
            Self::TimestampAhead { .. } => "timestamp_ahead",
            Self::PartMissing { .. } => "signed_part_missing",
            Self::MalformedPart { .. } => "malformed_signed_part",
            Self::Duplicate { .. } => "duplicate_header",
            Self::MixedHeaders { .. } => "mixed_headers",
            Self::WeakSignature { .. } => "weak_signature",
            Self::WrongCredentials { .. } => "wrong_credentials",
            Self::MalformedCredentials { .. } => "malformed_credentials",
            Self::UrlUnknown => "url_unknown",
            Self::KeyMissing { .. } => "key_missing",
            Self::ForeignKey { .. } => "foreign_key",
            Self::UnknownKey { .. } => "unknown_key",
            Self::SubscriptionDenied => "subscription_denied",
            Self::Unsubscribing => "unsubscribe_refused",
        }
    }
}
