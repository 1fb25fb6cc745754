-- Old events whose deliveries are all over, the oldest first. A damaged id is passed over.
select event.id
from event
where event.received_at < ?1
    and length(event.id) = 16
    and not exists (
        select 1
        from delivery
        where delivery.event_id = event.id
            and delivery.status not in ('delivered', 'dead', 'cancelled', 'skipped')
    )
order by event.received_at, event.id
limit ?2
