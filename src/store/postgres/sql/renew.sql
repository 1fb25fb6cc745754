-- Hold on for longer; the answer names those that are held by nobody or by another. By their ids and in their order, as in
-- `settle`.
with held as materialized (
    select *, 'delivering' as claimed
    from unnest($1::uuid[], $2::bigint[]) as held (id, fence)
),
renewed as (
    update delivery
    set lease_until = $4
    from held
    where delivery.id = held.id
        and delivery.fence = held.fence
        and delivery.status = held.claimed
        and delivery.worker = $3
    returning delivery.id
)
select held.id
from held
where not exists (select 1 from renewed where renewed.id = held.id)
