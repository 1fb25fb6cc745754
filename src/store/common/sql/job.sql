-- One job.
select
    id, action, state, filter, to_route, to_destination, to_url, per_second, made_by, reason, cursor, last, n_planned,
    n_matched, n_changed, n_skipped, created_at, ended_at
from job
where id = $1
