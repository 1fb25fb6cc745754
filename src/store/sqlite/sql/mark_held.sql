-- Hold these, where they still wait for what is held.
update delivery
set status = 'held'
where id in (select unhex(value ->> 0) from json_each(?1))
    and status in ('pending', 'retrying')
    and exists (
        select 1
        from hold
        where hold.kind = 'destination' and hold.name = delivery.destination
            or hold.kind = 'route' and hold.name = delivery.route
    )
