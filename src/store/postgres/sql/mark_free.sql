-- Free held deliveries whose route and destination nothing holds any more, so many at a time. From destination to destination by
-- their index: this runs every second, and a million that wait for one are not looked at one by one.
with recursive held_to (destination) as (
    select min(destination)
    from delivery
    where status = 'held'
    union all
    select (
        select min(delivery.destination)
        from delivery
        where delivery.status = 'held' and delivery.destination > held_to.destination
    )
    from held_to
    where held_to.destination is not null
),
waiting as (
    select delivery.id
    from held_to
    cross join delivery
    where not exists (select 1 from hold where hold.kind = 'destination' and hold.name = held_to.destination)
        and delivery.status = 'held'
        and delivery.destination = held_to.destination
        and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
    limit $1
    for update of delivery skip locked
)
update delivery
set status = 'pending', due_at = $2
from waiting
where delivery.id = waiting.id
