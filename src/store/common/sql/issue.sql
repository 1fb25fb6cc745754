-- One issue.
select
    id, key, rule, severity, source, destination, route, cause, state, summary, count, n_opened,
    first_seen_at, last_seen_at, holds_at, changed_at, changed_by, reason
from issue
where id = $1
