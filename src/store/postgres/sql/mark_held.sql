-- Mark waiting deliveries of held destinations and routes, so many of each at a time. Of a destination only what waits for it is
-- read: this runs every second.
with of_destinations as (
    select delivery.id
    from hold
    cross join delivery
    where hold.kind = 'destination'
        and delivery.destination = hold.name
        and delivery.status in ('pending', 'retrying')
    limit $1
    for update of delivery skip locked
),
of_routes as (
    select delivery.id
    from hold
    cross join delivery
    where hold.kind = 'route'
        and delivery.route = hold.name
        and delivery.status in ('pending', 'retrying')
    limit $1
    for update of delivery skip locked
)
update delivery
set status = 'held'
from (select id from of_destinations union select id from of_routes) as waiting
where delivery.id = waiting.id
