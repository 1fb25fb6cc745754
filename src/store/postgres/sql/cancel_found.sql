-- As cancel, of what a job found: unless it moved on meanwhile. Locked in one order, as everywhere.
with found as (
    select delivery.id
    from unnest($1::uuid[], $2::text[]) as found (id, status)
    join delivery on delivery.id = found.id and delivery.status = found.status
    order by delivery.id
    for no key update of delivery
)
update delivery
set status = 'cancelled', due_at = null, worker = null, lease_until = null, is_manual = false
from found
where delivery.id = found.id
    and status in ('pending', 'delivering', 'retrying', 'held')
