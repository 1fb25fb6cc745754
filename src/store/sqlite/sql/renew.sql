-- Hold on for longer.
update delivery
set lease_until = ?3
from json_each(?1) as held
where delivery.id = unhex(held.value ->> 0)
    and delivery.fence = held.value ->> 1
    and delivery.status = 'delivering'
    and delivery.worker = ?2
