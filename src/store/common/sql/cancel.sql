-- An operator gives it up, in hand or not. A worker that has it in hand finds its claim lost.
update delivery
set status = 'cancelled', due_at = null, worker = null, lease_until = null, is_manual = false
where id = $1
    and status in ('pending', 'delivering', 'retrying', 'held')
returning
    id, event_id, route, destination, origin, status, n_attempts, due_at, last_error, cause, created_at
