-- An operator wants it tried again, now. Open ones keep their status; those that are over begin anew.
update delivery
set status = case when status in ('pending', 'retrying') then status else 'pending' end,
    due_at = $2, is_manual = true
where id = $1
    and status in ('pending', 'retrying', 'dead', 'cancelled', 'delivered')
returning
    id, event_id, route, destination, origin, status, n_attempts, due_at, last_error, cause, created_at
