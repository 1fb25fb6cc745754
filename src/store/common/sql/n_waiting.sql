-- How many deliveries to a destination are due, as far as that is counted. To one that is held nothing is: what comes there stands in
-- nobody's way, and is marked as held soon.
select count(*)
from (
    select 1
    from delivery
    where destination = $1
        and status in ('pending', 'retrying')
        and due_at <= $2
        and not exists (select 1 from hold where hold.kind = 'destination' and hold.name = $1)
    limit $3
) as waiting
