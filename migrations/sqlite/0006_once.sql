-- What went a route's way a short while ago, so that what a sender says again under another id is left out.
create table once (
    route text not null,
    key blob not null,           -- SHA-256 of what the route compares
    since integer not null,      -- when the first of them came
    until integer not null,      -- from when on another one goes the route's way
    delivery_id blob not null,   -- the delivery that is not a repeat
    primary key (route, key)
) strict, without rowid;
create index once_until on once (until);
