-- Put back what this worker still holds, without counting an attempt.
update delivery
set status = case when n_attempts = 0 then 'pending' else 'retrying' end,
    due_at = ?2, worker = null, lease_until = null
from json_each(?1) as held
where delivery.id = unhex(held.value ->> 0)
    and delivery.fence = held.value ->> 1
    and delivery.status = 'delivering'
