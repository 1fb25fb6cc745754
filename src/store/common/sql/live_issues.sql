-- Issues that somebody may want to do something about, the oldest first.
select
    id, key, rule, severity, source, destination, route, cause, state, summary, count, n_opened,
    first_seen_at, last_seen_at, holds_at, changed_at, changed_by, reason
from issue
where state in ('open', 'acknowledged')
order by id
limit $1
