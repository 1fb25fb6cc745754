-- The ids of held deliveries whose route and destination nothing holds any more, so many at a time. From destination to destination
-- by their index, so that a million that wait for one are not looked at one by one. A damaged id is passed over.
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
)
select delivery.id
from held_to
cross join delivery
where not exists (select 1 from hold where hold.kind = 'destination' and hold.name = held_to.destination)
    and delivery.status = 'held'
    and delivery.destination = held_to.destination
    and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
    and length(delivery.id) = 16
limit ?1
