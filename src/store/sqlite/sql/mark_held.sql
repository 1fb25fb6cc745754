-- Mark waiting deliveries of held destinations and routes, so many at a time. `cross join`, so that without a hold nothing is read,
-- and of a destination only what waits for it: this runs every second, and whoever writes waits for it.
update delivery
set status = 'held'
where id in (
    select delivery.id
    from hold
    cross join delivery
    where hold.kind = 'destination'
        and delivery.destination = hold.name
        and delivery.status in ('pending', 'retrying')
    union all
    select delivery.id
    from hold
    cross join delivery
    where hold.kind = 'route'
        and delivery.route = hold.name
        and delivery.status in ('pending', 'retrying')
    limit ?1
)
