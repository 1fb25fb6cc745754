-- Events, their deliveries and attempts, rejected requests, and the little state that chores share.
-- Times are microseconds since 1970; ids are the 16 bytes of a UUIDv7.

-- What senders said happened: one row per accepted request after deduplication.
create table event (
    id blob not null primary key,   -- UUIDv7, so that lists by time are lists by id
    source text not null,           -- name of the source that it came to
    key blob,                       -- deduplication key, 32 bytes; null where nothing was verified
    body_hash blob not null,        -- SHA-256 of the body: tells a duplicate from a conflict
    external_id text,               -- the id that the sender gave it
    type text,                      -- the type that the sender gave it
    origin text not null,           -- received or recovered
    verified text not null,         -- what the signature covered: body, origin or none
    occurred_at integer,            -- when the sender says that it happened
    received_at integer not null,   -- when the request arrived
    headers blob not null,          -- every header in order; the length of each name and value stands before it
    body blob not null              -- the body, byte for byte as it was signed
) strict;

-- Partial, so that unverified events cost nothing here and are nobody's duplicate.
create unique index event_key on event (key) where key is not null;
-- For retention, and for counting what came lately.
create index event_received_at on event (received_at);

-- One event for one route, and where it stands.
create table delivery (
    id blob not null primary key,           -- UUIDv7
    event_id blob not null,                 -- the event
    route text not null,                    -- name of the route that made it
    destination text not null,              -- name of the destination that it goes to
    origin text not null,                   -- why it is delivered: received, recovered or replayed
    status text not null,                   -- pending, delivering, retrying, held, delivered, dead, cancelled or skipped
    is_manual integer not null default 0,   -- an operator asked for the next attempt
    n_attempts integer not null default 0,  -- attempts recorded so far
    due_at integer,                         -- when the next attempt may start; null while in hand and when over
    fence integer not null default 0,       -- grows with every claim and settlement: a late worker holds an old one
    worker blob,                            -- the process that has it in hand
    lease_until integer,                    -- until when it is in hand; afterwards anybody may free it
    last_error text,                        -- what the last failed attempt said
    created_at integer not null             -- when it was made
) strict, without rowid;

create index delivery_event on delivery (event_id);
create index delivery_due on delivery (destination, due_at, id) where status in ('pending', 'retrying');
create index delivery_lease on delivery (lease_until) where status = 'delivering';
create index delivery_held on delivery (destination, id) where status = 'held';
-- Dead letters are few and looked for often.
create index delivery_dead on delivery (id) where status = 'dead';

-- One try of one delivery.
create table attempt (
    delivery_id blob not null,       -- the delivery
    id blob not null,                -- UUIDv7
    number integer not null,         -- 1 for the first
    trigger text not null,           -- initial, schedule or manual
    started_at integer not null,     -- when it started
    duration_us integer not null,    -- how long it took, in microseconds
    status_code integer,             -- the HTTP status; null where no answer came
    error text,                      -- why it failed; null where the handler took it
    response_headers blob not null,  -- the answer's headers, as event.headers
    response_body blob not null,     -- the start of the answer's body
    primary key (delivery_id, id)
) strict, without rowid;

-- Requests that were not accepted, and those that conflicted with a stored event.
create table rejected_request (
    id blob not null primary key,   -- UUIDv7
    source text not null,           -- name of the source that it was sent to
    cause text not null,            -- stable name of the cause
    explanation text not null,      -- one sentence for an operator
    received_at integer not null,   -- when it arrived
    method text not null,           -- HTTP method
    target text not null,           -- path and query as they came
    client text,                    -- who sent it: the peer, or whom a trusted proxy named
    headers blob not null,          -- as event.headers
    body blob,                      -- the body; null where it was too large to keep
    size integer not null,          -- size of the body in bytes, kept or not
    accepted_as blob                -- the event that it became after all
) strict;

-- Routes and destinations whose deliveries wait.
create table hold (
    kind text not null,        -- route or destination
    name text not null,        -- its name
    reason text not null,      -- why, for an operator
    since integer not null,    -- since when
    primary key (kind, name)
) strict, without rowid;

-- Which process does a chore that only one may do.
create table chore_lease (
    name text not null primary key,  -- name of the chore
    worker blob not null,            -- the process
    until integer not null           -- until when it is its own
) strict, without rowid;

-- Counts kept in the transactions that they count; one writer, so one row.
create table tally (
    slot integer not null primary key,           -- always 0 here
    received integer not null default 0,         -- requests that were answered for
    rejected integer not null default 0,         -- requests that were refused, kept or only counted
    duplicates integer not null default 0,       -- requests whose event was stored already, conflicts included
    conflicts integer not null default 0,        -- duplicates with another body
    deliveries integer not null default 0,       -- deliveries ever made
    pruned_events integer not null default 0,    -- events that retention removed
    pruned_delivered integer not null default 0, -- delivered deliveries that retention removed
    pruned_dead integer not null default 0,      -- dead deliveries that retention removed
    pruned_cancelled integer not null default 0, -- cancelled deliveries that retention removed
    pruned_skipped integer not null default 0    -- skipped deliveries that retention removed
) strict;
insert into tally (slot) values (0);
