-- New deliveries of a stored event. The event is locked, so that retention cannot take it meanwhile; no row: it is gone.
with found as (
    select id
    from event
    where id = $1
    for key share
),
new_delivery as (
    insert into delivery (
        id, event_id, route, destination, origin, status, fence, worker, lease_until, due_at, cause, last_error,
        order_mode, order_key, order_at, created_at, program_id
    )
    select
        new.id, found.id, new.route, new.destination, new.origin,
        case when new.cause is not null then 'skipped' when new.worker is null then 'pending' else 'delivering' end,
        case when new.worker is null then 0 else 1 end,
        new.worker, new.lease_until, $14::timestamptz + new.due_after * interval '1 microsecond', new.cause, new.last_error,
        new.order_mode, new.order_key, new.order_at, $14, new.program_id
    from found
    cross join unnest(
        $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::timestamptz[], $8::bigint[], $9::text[], $10::text[],
        $11::text[], $12::bytea[], $13::timestamptz[], $16::uuid[]
    ) as new (
        id, route, destination, origin, worker, lease_until, due_after, cause, last_error, order_mode, order_key, order_at,
        program_id
    )
    on conflict do nothing
    returning 1
),
counted as (
    insert into tally (slot, deliveries)
    values ($15, (select count(*) from new_delivery))
    on conflict (slot) do update
    set deliveries = tally.deliveries + excluded.deliveries
)
select count(*) as n_events
from found
