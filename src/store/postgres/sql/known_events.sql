-- What is stored under the keys (or, without a key, under the ids) of events that were not inserted. Each is looked up by
-- itself: `limit` keeps a planner without statistics from reading the whole table instead.
select asked.idx, found.id, found.is_same_body
from unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[], $5::text[]) as asked (idx, id, key, body_hash, external_id)
cross join lateral (
    (
        select event.id, event.body_hash = asked.body_hash as is_same_body
        from event
        where event.key = asked.key
            and event.key is not null
            -- As the index has it.
            and (coalesce(left(event.external_id, 12), '')) collate "C" = coalesce(left(asked.external_id, 12), '')
        limit 1
    )
    union all
    (
        select event.id, true
        from event
        where event.id = asked.id and asked.key is null
        limit 1
    )
) as found
