-- New deliveries of many stored events. The events are locked, so that retention cannot take them meanwhile; those that
-- are gone get none.
with found as (
    select id
    from event
    where id = any($2::uuid[])
    order by id
    for key share
),
new_delivery as (
    insert into delivery (
        id, event_id, route, destination, origin, status, due_at, cause, last_error, order_mode, order_key, order_at,
        created_at, program_id
    )
    select
        new.id, found.id, new.route, new.destination, new.origin,
        case when new.cause is not null then 'skipped' else 'pending' end,
        $12::timestamptz + new.due_after * interval '1 microsecond', new.cause, new.last_error,
        new.order_mode, new.order_key, new.order_at, $12, new.program_id
    from unnest(
        $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
        $9::text[], $10::bytea[], $11::timestamptz[], $14::uuid[]
    ) as new (
        id, event_id, route, destination, origin, due_after, cause, last_error, order_mode, order_key, order_at, program_id
    )
    join found on found.id = new.event_id
    on conflict do nothing
    returning 1
),
counted as (
    insert into tally (slot, deliveries)
    values ($13, (select count(*) from new_delivery))
    on conflict (slot) do update
    set deliveries = tally.deliveries + excluded.deliveries
)
select count(*) as n_deliveries
from new_delivery
