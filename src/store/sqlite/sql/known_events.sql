)
-- The end of a statement that begins with the asked rows as values.
select asked.idx, event.id, event.body_hash = asked.body_hash as is_same_body, event.rowid as row_number
from asked
join event
    on event.key = asked.key
    and event.key is not null
    -- As the index has it.
    and substr(coalesce(event.external_id, ''), 1, 12) = substr(coalesce(asked.external_id, ''), 1, 12)
union all
select asked.idx, event.id, true, event.rowid
from asked
join event on event.id = asked.id
where asked.key is null
