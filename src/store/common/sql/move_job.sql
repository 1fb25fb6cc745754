-- An operator pauses a job, lets it go on, or ends it. One that has ended stays as it is.
update job
set state = $2, ended_at = case when $2 = 'cancelled' then $3 else ended_at end
where id = $1
    and state in ('running', 'paused')
returning
    id, action, state, filter, to_route, to_destination, to_url, per_second, made_by, reason, cursor, last, n_planned,
    n_matched, n_changed, n_skipped, created_at, ended_at
