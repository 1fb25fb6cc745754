-- The issue of a key, which nobody else changes until this ends.
select
    id, key, rule, severity, source, destination, route, cause, state, summary, count, n_opened,
    first_seen_at, last_seen_at, holds_at, changed_at, changed_by, reason
from issue
where key = $1
for update
