-- Events, their deliveries and attempts, rejected requests, and the little state that replicas share.

create table event (
    id uuid primary key,
    source text not null,
    key bytea,
    body_hash bytea not null,
    external_id text,
    type text,
    origin text not null,
    verified text not null,
    occurred_at timestamptz,
    received_at timestamptz not null,
    headers bytea not null,
    body bytea not null
);
comment on table event is 'What senders said happened: one row per accepted request after deduplication';
comment on column event.id is 'UUIDv7, so that lists by time are lists by id';
comment on column event.source is 'Name of the source that it came to';
comment on column event.key is 'Deduplication key, 32 bytes; null where nothing was verified';
comment on column event.body_hash is 'SHA-256 of the body: tells a duplicate from a conflict';
comment on column event.external_id is 'The id that the sender gave it';
comment on column event.type is 'The type that the sender gave it';
comment on column event.origin is 'received or recovered';
comment on column event.verified is 'What the signature covered: body, origin or none';
comment on column event.occurred_at is 'When the sender says that it happened';
comment on column event.received_at is 'When the request arrived';
comment on column event.headers is 'Every header in order; the length of each name and value stands before it';
comment on column event.body is 'The body, byte for byte as it was signed';

-- Partial, so that unverified events cost nothing here and are nobody's duplicate.
create unique index event_key on event (key) where key is not null;
-- For retention, and for counting what came lately.
create index event_received_at on event (received_at);

create table delivery (
    id uuid primary key,
    event_id uuid not null,
    route text not null,
    destination text not null,
    origin text not null,
    status text not null,
    is_manual boolean not null default false,
    n_attempts integer not null default 0,
    due_at timestamptz,
    fence bigint not null default 0,
    worker uuid,
    lease_until timestamptz,
    last_error text,
    created_at timestamptz not null
) with (
    -- Every row changes its status at least once: leave room beside it, and clean up early.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
comment on table delivery is 'One event for one route, and where it stands';
comment on column delivery.id is 'UUIDv7';
comment on column delivery.event_id is 'The event; no foreign key, because retention removes both in one statement';
comment on column delivery.route is 'Name of the route that made it';
comment on column delivery.destination is 'Name of the destination that it goes to';
comment on column delivery.origin is 'Why it is delivered: received, recovered or replayed';
comment on column delivery.status is 'pending, delivering, retrying, held, delivered, dead, cancelled or skipped';
comment on column delivery.is_manual is 'An operator asked for the next attempt';
comment on column delivery.n_attempts is 'Attempts recorded so far';
comment on column delivery.due_at is 'When the next attempt may start; null while in hand and when over';
comment on column delivery.fence is 'Grows with every claim and settlement: a late worker holds an old one';
comment on column delivery.worker is 'The process that has it in hand';
comment on column delivery.lease_until is 'Until when it is in hand; afterwards anybody may free it';
comment on column delivery.last_error is 'What the last failed attempt said';
comment on column delivery.created_at is 'When it was made';

create index delivery_event on delivery (event_id);
create index delivery_due on delivery (destination, due_at, id) where status in ('pending', 'retrying');
create index delivery_lease on delivery (lease_until) where status = 'delivering';
create index delivery_held on delivery (destination, id) where status = 'held';
-- Dead letters are few and looked for often.
create index delivery_dead on delivery (id) where status = 'dead';

create table attempt (
    delivery_id uuid not null,
    id uuid not null,
    number integer not null,
    trigger text not null,
    started_at timestamptz not null,
    duration_us bigint not null,
    status_code integer,
    error text,
    response_headers bytea not null,
    response_body bytea not null,
    -- The delivery first, so that this one index serves the list as well.
    primary key (delivery_id, id)
);
comment on table attempt is 'One try of one delivery';
comment on column attempt.delivery_id is 'The delivery';
comment on column attempt.id is 'UUIDv7';
comment on column attempt.number is '1 for the first';
comment on column attempt.trigger is 'initial, schedule or manual';
comment on column attempt.started_at is 'When it started';
comment on column attempt.duration_us is 'How long it took, in microseconds';
comment on column attempt.status_code is 'The HTTP status; null where no answer came';
comment on column attempt.error is 'Why it failed; null where the handler took it';
comment on column attempt.response_headers is 'The answer''s headers, as event.headers';
comment on column attempt.response_body is 'The start of the answer''s body';

create table rejected_request (
    id uuid primary key,
    source text not null,
    cause text not null,
    explanation text not null,
    received_at timestamptz not null,
    method text not null,
    target text not null,
    client text,
    headers bytea not null,
    body bytea,
    size bigint not null,
    accepted_as uuid
);
comment on table rejected_request is 'Requests that were not accepted, and those that conflicted with a stored event';
comment on column rejected_request.id is 'UUIDv7';
comment on column rejected_request.source is 'Name of the source that it was sent to';
comment on column rejected_request.cause is 'Stable name of the cause';
comment on column rejected_request.explanation is 'One sentence for an operator';
comment on column rejected_request.received_at is 'When it arrived';
comment on column rejected_request.method is 'HTTP method';
comment on column rejected_request.target is 'Path and query as they came';
comment on column rejected_request.client is 'Who sent it: the peer, or whom a trusted proxy named';
comment on column rejected_request.headers is 'As event.headers';
comment on column rejected_request.body is 'The body; null where it was too large to keep';
comment on column rejected_request.size is 'Size of the body in bytes, kept or not';
comment on column rejected_request.accepted_as is 'The event that it became after all';

create table hold (
    kind text not null,
    name text not null,
    reason text not null,
    since timestamptz not null,
    primary key (kind, name)
);
comment on table hold is 'Routes and destinations whose deliveries wait';
comment on column hold.kind is 'route or destination';
comment on column hold.name is 'Its name';
comment on column hold.reason is 'Why, for an operator';
comment on column hold.since is 'Since when';

create table chore_lease (
    name text primary key,
    worker uuid not null,
    until timestamptz not null
);
comment on table chore_lease is 'Which process does a chore that only one may do';
comment on column chore_lease.name is 'Name of the chore';
comment on column chore_lease.worker is 'The process';
comment on column chore_lease.until is 'Until when it is its own';

create table tally (
    slot integer primary key,
    received bigint not null default 0,
    rejected bigint not null default 0,
    duplicates bigint not null default 0,
    conflicts bigint not null default 0,
    deliveries bigint not null default 0,
    pruned_events bigint not null default 0,
    pruned_delivered bigint not null default 0,
    pruned_dead bigint not null default 0,
    pruned_cancelled bigint not null default 0,
    pruned_skipped bigint not null default 0
) with (
    fillfactor = 20,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);
comment on table tally is 'Counts kept in the transactions that they count; the sum over all slots is what holds';
comment on column tally.slot is 'Batches that commit side by side use different slots, so that none waits for another';
comment on column tally.received is 'Requests that were answered for';
comment on column tally.rejected is 'Requests that were refused, kept or only counted';
comment on column tally.duplicates is 'Requests whose event was stored already, conflicts included';
comment on column tally.conflicts is 'Duplicates with another body';
comment on column tally.deliveries is 'Deliveries ever made';
comment on column tally.pruned_events is 'Events that retention removed';
comment on column tally.pruned_delivered is 'Delivered deliveries that retention removed';
comment on column tally.pruned_dead is 'Dead deliveries that retention removed';
comment on column tally.pruned_cancelled is 'Cancelled deliveries that retention removed';
comment on column tally.pruned_skipped is 'Skipped deliveries that retention removed';

-- lz4 takes a third less time than the default; servers before 14, and builds without it, keep the default.
do $$
declare
    statement text;
begin
    foreach statement in array array[
        'alter table event alter column body set compression lz4',
        'alter table event alter column headers set compression lz4',
        'alter table attempt alter column response_body set compression lz4',
        'alter table rejected_request alter column body set compression lz4'
    ] loop
        begin
            execute statement;
        exception when syntax_error or feature_not_supported or invalid_parameter_value then
            null;
        end;
    end loop;
end
$$;
