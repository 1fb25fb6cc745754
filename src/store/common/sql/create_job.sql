-- A job over all that there is now. Made again after an answer that was lost, it is the one that is there.
insert into job
    (id, action, state, filter, to_route, to_destination, to_url, per_second, made_by, reason, last, n_planned, created_at)
values (
    $1, $2, 'running', $3, $4, $5, $6, $7, $8, $9,
    coalesce(
        case
            when $2 in ('replay', 'replay_original') then (select id from event order by id desc limit 1)
            else (select id from delivery order by id desc limit 1)
        end,
        $1
    ),
    $10, $11
)
on conflict (id) do update set id = excluded.id
returning
    id, action, state, filter, to_route, to_destination, to_url, per_second, made_by, reason, cursor, last, n_planned,
    n_matched, n_changed, n_skipped, created_at, ended_at
