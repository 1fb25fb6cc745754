-- Deliveries in the store, by destination and status, and the oldest of each that is due.
select
    destination, status, count(*) as n_rows,
    min(due_at) filter (where status in ('pending', 'retrying') and due_at <= clock_timestamp()) as oldest_due
from delivery
group by destination, status
