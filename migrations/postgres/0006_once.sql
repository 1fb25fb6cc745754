-- What went a route's way a short while ago, so that what a sender says again under another id is left out.
create table once (
    route text not null,
    key bytea not null,
    since timestamptz not null,
    until timestamptz not null,
    delivery_id uuid not null,
    primary key (route, key)
);
comment on column once.route is 'Whose way it went';
comment on column once.key is 'SHA-256 of what the route compares';
comment on column once.since is 'When the first of them came';
comment on column once.until is 'From when on another one goes the route''s way';
comment on column once.delivery_id is 'The delivery that is not a repeat';
create index once_until on once (until);
comment on column delivery.cause is 'Of a skipped one, why: filtered, repeated or stale';
