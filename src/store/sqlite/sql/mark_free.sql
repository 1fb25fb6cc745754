-- Free held deliveries whose route and destination nothing holds any more, so many at a time.
update delivery
set status = 'pending', due_at = ?2
where id in (
    select id
    from delivery
    where status = 'held'
        and not exists (select 1 from hold where hold.kind = 'destination' and hold.name = delivery.destination)
        and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
    limit ?1
)
