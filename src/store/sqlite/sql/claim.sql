-- Take these, which the same transaction has just read.
update delivery
set status = 'delivering', fence = fence + 1, worker = ?2, lease_until = ?3, due_at = null
where id in (select unhex(value ->> 0) from json_each(?1))
