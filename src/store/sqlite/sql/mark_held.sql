-- Mark waiting deliveries of held routes and destinations, so many at a time. `cross join`, so that without a hold nothing
-- is read: this runs every second, and whoever writes waits for it.
update delivery
set status = 'held'
where id in (
    select delivery.id
    from hold
    cross join delivery
    where delivery.status in ('pending', 'retrying')
        and (
            (hold.kind = 'destination' and hold.name = delivery.destination)
            or (hold.kind = 'route' and hold.name = delivery.route)
        )
    limit ?1
)
