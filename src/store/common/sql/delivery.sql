-- One delivery.
select
    id, event_id, route, destination, origin, status, n_attempts, due_at, last_error, cause, created_at
from delivery
where id = $1
