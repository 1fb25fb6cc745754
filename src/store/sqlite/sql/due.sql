-- What is due for one destination, the oldest first. A damaged id or fence is passed over: it is counted as stuck.
select
    delivery.id, delivery.event_id, delivery.route, delivery.destination, delivery.origin, delivery.status,
    delivery.is_manual, delivery.n_attempts, delivery.due_at, delivery.last_error, delivery.created_at, delivery.fence,
    event.source, event.external_id, event.type, event.origin as event_origin, event.verified, event.occurred_at,
    event.received_at, event.headers, event.body, event.body_hash
from delivery
left join event on event.id = delivery.event_id
where delivery.destination = ?1
    and delivery.status in ('pending', 'retrying')
    and delivery.due_at <= ?2
    and length(delivery.id) = 16
    and delivery.fence < 9223372036854775806
    and not exists (select 1 from hold where hold.kind = 'destination' and hold.name = delivery.destination)
    and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
order by delivery.due_at, delivery.id
limit ?3
