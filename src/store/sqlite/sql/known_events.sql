)
-- The end of a statement that begins with the asked rows as values.
select asked.idx, event.id, event.body_hash = asked.body_hash as is_same_body, event.rowid as row_number
from asked
join event on event.key = asked.key and event.key is not null
union all
select asked.idx, event.id, true, event.rowid
from asked
join event on event.id = asked.id
where asked.key is null
