-- How many deliveries to a destination are due, as far as that is counted.
select count(*)
from (
    select 1
    from delivery
    where destination = $1
        and status in ('pending', 'retrying')
        and due_at <= $2
    limit $3
) as waiting
