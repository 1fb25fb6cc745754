-- Which of these destinations have anything to claim.
select wanted.value
from json_each(?1) as wanted
where exists (
        select 1
        from delivery
        where delivery.destination = wanted.value
            and delivery.status in ('pending', 'retrying')
            and delivery.due_at <= ?2
            and length(delivery.id) = 16
            and delivery.fence < 9223372036854775806
            and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
    )
    and not exists (select 1 from hold where hold.kind = 'destination' and hold.name = wanted.value)
