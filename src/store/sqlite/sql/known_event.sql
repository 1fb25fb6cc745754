-- What is stored under the key of an event that was not inserted, or, without a key, under its id.
select id, body_hash = ?3
from event
where key = ?1
    and key is not null
    -- As the index has it.
    and substr(coalesce(external_id, ''), 1, 12) = substr(coalesce(?2, ''), 1, 12)
union all
select id, true
from event
where id = ?4 and ?1 is null
