-- The ids of what waits for held destinations and routes, so many at a time. `cross join`, so that without a hold nothing is read,
-- and of a destination only what waits for it; for a route, all that waits is gone through. A damaged id is passed over: it is
-- counted as stuck.
select delivery.id
from hold
cross join delivery
where hold.kind = 'destination'
    and delivery.destination = hold.name
    and delivery.status in ('pending', 'retrying')
    and length(delivery.id) = 16
union all
select delivery.id
from hold
cross join delivery
where hold.kind = 'route'
    and delivery.route = hold.name
    and delivery.status in ('pending', 'retrying')
    and length(delivery.id) = 16
limit ?1
