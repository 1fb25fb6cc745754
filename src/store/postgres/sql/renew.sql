-- Hold on for longer; the answer names those that are held by nobody or by another.
with renewed as (
    update delivery
    set lease_until = $4
    from unnest($1::uuid[], $2::bigint[]) as held (id, fence)
    where delivery.id = held.id
        and delivery.fence = held.fence
        and delivery.status = 'delivering'
        and delivery.worker = $3
    returning delivery.id
)
select held.id
from unnest($1::uuid[]) as held (id)
where not exists (select 1 from renewed where renewed.id = held.id)
