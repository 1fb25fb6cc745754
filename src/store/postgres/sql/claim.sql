-- Take what is due, the oldest first, so many for each destination; rows that another worker is taking are passed over,
-- and so is a damaged fence, which could not grow: it is counted as stuck.
with wanted as (
    select *
    from unnest($1::text[], $2::bigint[]) as wanted (destination, n_rows)
    where not exists (select 1 from hold where hold.kind = 'destination' and hold.name = wanted.destination)
),
due as (
    select found.id, found.due_at
    from wanted
    cross join lateral (
        select delivery.id, delivery.due_at
        from delivery
        where delivery.destination = wanted.destination
            and delivery.status in ('pending', 'retrying')
            and delivery.due_at <= $3
            and delivery.fence < 9223372036854775806
            and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
        order by delivery.due_at, delivery.id
        limit wanted.n_rows
        for update skip locked
    ) as found
),
taken as (
    update delivery
    set status = 'delivering', fence = delivery.fence + 1, worker = $4, lease_until = $5, due_at = null
    from due
    where delivery.id = due.id
    returning
        delivery.id, delivery.event_id, delivery.route, delivery.destination, delivery.origin, delivery.status,
        delivery.is_manual, delivery.n_attempts, delivery.due_at, delivery.last_error, delivery.created_at,
        delivery.fence, due.due_at as was_due_at
)
select
    taken.id, taken.event_id, taken.route, taken.destination, taken.origin, taken.status, taken.is_manual,
    taken.n_attempts, taken.due_at, taken.last_error, taken.created_at, taken.fence,
    event.source, event.external_id, event.type, event.origin as event_origin, event.verified, event.occurred_at,
    event.received_at, event.headers, event.body, event.body_hash
from taken
left join event on event.id = taken.event_id
order by taken.destination, taken.was_due_at, taken.id
