-- Free what workers that are gone had in hand, the longest expired first.
with expired as (
    select id
    from delivery
    where status = 'delivering' and lease_until <= $1
    order by lease_until, id
    limit $2
    for update skip locked
)
update delivery
set status = case when delivery.n_attempts = 0 then 'pending' else 'retrying' end,
    due_at = $1, worker = null, lease_until = null
from expired
where delivery.id = expired.id
