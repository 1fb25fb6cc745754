-- Free held deliveries whose route and destination nothing holds any more, so many at a time.
with waiting as (
    select id
    from delivery
    where status = 'held'
        and not exists (select 1 from hold where hold.kind = 'destination' and hold.name = delivery.destination)
        and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
    limit $1
    for update skip locked
)
update delivery
set status = 'pending', due_at = $2
from waiting
where delivery.id = waiting.id
