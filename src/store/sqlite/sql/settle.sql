-- What became of one delivery. Nothing is changed where the claim is lost.
update delivery
set n_attempts = n_attempts + 1,
    status = ?3,
    due_at = ?4,
    worker = null,
    lease_until = null,
    last_error = ?5,
    is_manual = 0,
    fence = fence + 1
where id = ?1 and fence = ?2 and status = 'delivering'
