-- Give up a delivery that cannot be read back.
update delivery
set status = 'dead', fence = fence + 1, worker = null, lease_until = null, due_at = null, last_error = $3
where id = $1
    and fence = $2
    and status = 'delivering'
