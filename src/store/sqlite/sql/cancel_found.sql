-- As cancel, of what a job found: unless it moved on meanwhile.
update delivery
set status = 'cancelled', due_at = null, worker = null, lease_until = null, is_manual = false
where id = ?1
    and status = ?2
    and status in ('pending', 'delivering', 'retrying', 'held')
