-- Open and dead deliveries, by destination and status, the oldest of each that is due, and the oldest that was made. Each part
-- reads its own index: what is over, most of a large store, is not looked at.
select
    destination, status, count(*) as n_rows, min(id) as oldest_id,
    min(due_at) filter (where due_at <= unixepoch('subsec') * 1000000) as oldest_due
from delivery
where status in ('pending', 'retrying')
group by destination, status
union all
select destination, status, count(*), min(id), null
from delivery
where status = 'delivering'
group by destination, status
union all
select destination, status, count(*), min(id), null
from delivery
where status = 'held'
group by destination, status
union all
select destination, status, count(*), min(id), null
from delivery
where status = 'dead'
group by destination, status
