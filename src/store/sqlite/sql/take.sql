-- What may be taken of these, which a look has found, with their events. What came between the look and this (a hold, another
-- claim, one of the same key in hand) is seen; an earlier event of the key that came meanwhile came too late.
select
    delivery.id, delivery.event_id, delivery.route, delivery.destination, delivery.origin, delivery.status,
    delivery.is_manual, delivery.n_attempts, delivery.due_at, delivery.last_error, delivery.cause, delivery.created_at, delivery.fence,
    delivery.program_id,
    coalesce(delivery.order_mode in ('latest', 'flag'), false) and (
        exists (
            select 1 from delivery as other
            where other.route = delivery.route and other.order_key = delivery.order_key
                and other.status = 'delivered'
                and (other.order_at, other.id) > (delivery.order_at, delivery.id)
        )
        or delivery.order_mode = 'latest' and exists (
            select 1 from delivery as other
            where other.route = delivery.route and other.order_key = delivery.order_key
                and other.status in ('pending', 'retrying', 'held', 'dead') and other.status <> 'dead'
                and (other.order_at, other.id) > (delivery.order_at, delivery.id)
        )
    ) as is_stale,
    delivery.status = 'retrying' as is_retry,
    coalesce(delivery.order_mode, '') as order_mode,
    event.source, event.external_id, event.type, event.origin as event_origin, event.verified, event.occurred_at,
    event.received_at, event.query, event.headers, event.body, event.body_hash
from json_each(?1) as found
cross join delivery on delivery.id = unhex(found.value ->> 0)
left join event on event.id = delivery.event_id
where delivery.status in ('pending', 'retrying')
    and delivery.due_at <= ?2
    and delivery.fence < 9223372036854775806
    and not exists (select 1 from hold where hold.kind = 'destination' and hold.name = delivery.destination)
    and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
    and (
        delivery.order_key is null
        or delivery.order_mode = 'flag'
        or not exists (
            select 1 from delivery as other
            where other.route = delivery.route and other.order_key = delivery.order_key
                and other.status = 'delivering' and other.order_mode <> 'flag'
        )
    )
order by found.key
