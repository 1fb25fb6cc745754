-- As requeue, of what a job found: unless it moved on meanwhile.
update delivery
set status = case when status in ('pending', 'retrying') then status else 'pending' end,
    due_at = ?3, is_manual = true
where id = ?1
    and status = ?2
    and status in ('pending', 'retrying', 'dead', 'cancelled', 'delivered')
