-- Of the deliveries that went in and are compared, those whose key went their route's way within its window are skipped.
with new as (
    select delivery.id, delivery.route, given.key, delivery.created_at as since,
        delivery.created_at + given.within * interval '1 microsecond' as until
    from unnest($1::uuid[], $2::bytea[], $3::bigint[]) as given (id, key, within)
    join delivery on delivery.id = given.id
    where delivery.status = 'pending'
),
first as (
    insert into once as known (route, key, since, until, delivery_id)
    select route, key, since, until, id
    from new
    -- One order for all: what runs side by side cannot deadlock.
    order by route, key
    on conflict (route, key) do update
    set since = excluded.since, until = excluded.until, delivery_id = excluded.delivery_id
    -- Its own row: the answer to an earlier try was lost.
    where known.until <= excluded.since or known.delivery_id = excluded.delivery_id
    returning delivery_id
)
update delivery
set status = 'skipped', cause = $4, last_error = $5, due_at = null
from new
where delivery.id = new.id and not exists (select 1 from first where first.delivery_id = new.id)
