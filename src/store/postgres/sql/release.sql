-- Put back what this worker still holds, without counting an attempt.
update delivery
set status = case when delivery.n_attempts = 0 then 'pending' else 'retrying' end,
    due_at = $3, worker = null, lease_until = null
from unnest($1::uuid[], $2::bigint[]) as held (id, fence)
where delivery.id = held.id
    and delivery.fence = held.fence
    and delivery.status = 'delivering'
