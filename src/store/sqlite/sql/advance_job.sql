-- A step of a job is done: its cursor moves on, or it is done. No cursor: there was nothing more.
update job
set cursor = coalesce(?2, cursor),
    state = case when ?2 is null then 'done' else state end,
    ended_at = case when ?2 is null then ?6 end,
    n_matched = n_matched + ?3,
    n_changed = n_changed + ?4,
    n_skipped = n_skipped + ?5
where id = ?1
