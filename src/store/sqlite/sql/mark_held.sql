-- Mark waiting deliveries of held routes and destinations, so many at a time.
update delivery
set status = 'held'
where id in (
    select id
    from delivery
    where status in ('pending', 'retrying')
        and exists (select 1 from hold)
        and (
            exists (select 1 from hold where hold.kind = 'destination' and hold.name = delivery.destination)
            or exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
        )
    limit ?1
)
