-- When the earliest claimable delivery of these destinations is or was due.
select min(delivery.due_at) as due_at
from json_each(?1) as wanted
cross join delivery on delivery.destination = wanted.value
where delivery.status in ('pending', 'retrying')
    and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
    and not exists (select 1 from hold where hold.kind = 'destination' and hold.name = wanted.value)
