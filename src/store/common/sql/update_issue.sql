-- An issue as it is now.
update issue
set severity = $2, state = $3, summary = $4, count = $5, n_opened = $6, last_seen_at = $7,
    holds_at = $8, changed_at = $9, changed_by = $10, reason = $11
where id = $1
