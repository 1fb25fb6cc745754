-- Deliveries in the store, by destination and status, the oldest of each that is due, and the oldest that is open.
select
    destination, status, count(*) as n_rows,
    min(due_at) filter (where status in ('pending', 'retrying') and due_at <= clock_timestamp()) as oldest_due,
    min(created_at) filter (where status in ('pending', 'delivering', 'retrying', 'held')) as oldest_open
from delivery
group by destination, status
