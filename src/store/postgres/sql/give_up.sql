-- What waits for longer than it may, at a destination that is left alone: dead without another attempt. Not what an operator
-- wants tried again.
with overdue as (
    select id
    from delivery
    where destination = $1
        and status in ('pending', 'retrying')
        and not is_manual
        and created_at <= $2
    order by due_at, id
    limit $4
    for update skip locked
)
update delivery
set status = 'dead', due_at = null,
    last_error = case when delivery.last_error is null then $3 else delivery.last_error || '; ' || $3 end
from overdue
where delivery.id = overdue.id
