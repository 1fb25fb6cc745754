-- Free these, where still nothing holds them.
update delivery
set status = 'pending', due_at = ?2
where id in (select unhex(value ->> 0) from json_each(?1))
    and status = 'held'
    and not exists (
        select 1
        from hold
        where hold.kind = 'destination' and hold.name = delivery.destination
            or hold.kind = 'route' and hold.name = delivery.route
    )
