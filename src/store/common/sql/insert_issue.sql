-- A new issue, unless another process has just found the same.
insert into issue (
    id, key, rule, severity, source, destination, route, cause, state, summary, count, n_opened,
    first_seen_at, last_seen_at, holds_at, changed_at, changed_by, reason
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
on conflict (key) do nothing
