-- A batch of events with their deliveries and their tally, all or nothing, in one round trip and without `begin`.
-- Rows whose key or id is known are left out; the answer is one row, which names those that went in if some did not.
with new_event as (
    insert into event (id, source, key, body_hash, external_id, type, origin, verified, occurred_at, received_at, headers, body, query)
    select *
    from unnest(
        $1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::timestamptz[], $10::timestamptz[], $11::bytea[], $12::bytea[], $13::text[]
    )
    on conflict do nothing
    returning id, received_at
),
new_delivery as (
    insert into delivery (
        id, event_id, route, destination, origin, status, fence, worker, lease_until, due_at, cause, last_error,
        order_mode, order_key, order_at, created_at
    )
    select
        new.id, new.event_id, new.route, new.destination, new.origin,
        case when new.cause is not null then 'skipped' when new.worker is null then 'pending' else 'delivering' end,
        case when new.worker is null then 0 else 1 end,
        new.worker, new.lease_until,
        -- The server's clock, unless the replica's is behind it: a replica whose clock is ahead must not delay.
        least(new_event.received_at, clock_timestamp()) + new.due_after * interval '1 microsecond',
        new.cause, new.last_error, new.order_mode, new.order_key, new.order_at,
        least(new_event.received_at, clock_timestamp())
    from unnest(
        $14::uuid[], $15::uuid[], $16::text[], $17::text[], $18::text[], $19::uuid[], $20::timestamptz[], $21::bigint[],
        $22::text[], $23::text[], $24::text[], $25::bytea[], $26::timestamptz[]
    ) as new (
        id, event_id, route, destination, origin, worker, lease_until, due_after, cause, last_error,
        order_mode, order_key, order_at
    )
    join new_event on new_event.id = new.event_id
    returning 1
),
counted as (
    insert into tally (slot, received, deliveries)
    values ($27, (select count(*) from new_event), (select count(*) from new_delivery))
    on conflict (slot) do update
    set received = tally.received + excluded.received,
        deliveries = tally.deliveries + excluded.deliveries
)
select case when count(*) < cardinality($1::uuid[]) then coalesce(array_agg(id), '{}') end as inserted
from new_event
