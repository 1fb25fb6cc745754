-- When the earliest claimable delivery of these destinations is or was due.
select min(earliest.due_at) as due_at
from unnest($1::text[]) as wanted (destination)
cross join (values ('pending'), ('retrying')) as line (status)
cross join lateral (
    select delivery.due_at
    from delivery
    where delivery.destination = wanted.destination
        and delivery.status = line.status
        and delivery.status in ('pending', 'retrying')
        and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
    order by delivery.due_at, delivery.id
    limit 1
) as earliest
where not exists (select 1 from hold where hold.kind = 'destination' and hold.name = wanted.destination)
