//! What a text or number that a client gives looks like, for the description of the API alone. `web::extract` and the inputs read them.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema, Type,
        schema::{KnownFormat, ObjectBuilder, SchemaFormat},
    },
};

use crate::{
    alert::rule::Rule,
    base::ids::{DeliveryId, EventId, IssueId, JobId, RequestId, TokenId},
    event::delivery::Status,
    store::{
        issue::{Severity, State},
        job::{self, Action},
        query::MAX_LIMIT,
    },
    web::{Role, api::issues::LIVE},
};

/// Types without values, that have a schema.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $schema:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

texts! {
    EventIdText: id(EventId::PREFIX);
    DeliveryIdText: id(DeliveryId::PREFIX);
    RequestIdText: id(RequestId::PREFIX);
    JobIdText: id(JobId::PREFIX);
    IssueIdText: id(IssueId::PREFIX);
    TokenIdText: id(TokenId::PREFIX);
    /// Whatever a sender sent.
    Bytes: text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
    TimeText: text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    LimitNumber: ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX_LIMIT));
    StatusText: one_of(Status::ALL.map(Status::as_str));
    RoleText: one_of(Role::ALL.map(Role::as_str));
    ActionText: one_of(Action::ALL.map(Action::as_str));
    ReplayConfigText: one_of(job::Config::ALL.map(job::Config::as_str));
    JobStateText: one_of(job::State::ALL.map(job::State::as_str));
    IssueStateText: one_of(State::ALL.map(State::as_str).into_iter().chain([LIVE]));
    RuleText: one_of(Rule::ALL.map(Rule::as_str));
    SeverityText: one_of(Severity::ALL.map(Severity::as_str));
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// The first of the 26 digits stands for three bits, the others for five.
fn id(prefix: &str) -> ObjectBuilder {
    text().pattern(Some(format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$")))
}

fn one_of(words: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(words))
}
