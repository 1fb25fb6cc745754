-- Put back what this worker still holds, without counting an attempt. By their ids and in their order, as in `settle`.
with held as materialized (
    select *, 'delivering' as claimed
    from unnest($1::uuid[], $2::bigint[]) as held (id, fence)
)
update delivery
set status = case when delivery.n_attempts = 0 then 'pending' else 'retrying' end,
    due_at = $3, worker = null, lease_until = null
from held
where delivery.id = held.id
    and delivery.fence = held.fence
    and delivery.status = held.claimed
