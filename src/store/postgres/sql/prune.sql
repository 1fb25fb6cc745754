-- Remove events whose deliveries are all over, with everything that hangs on them, and tally what went.
with victim as (
    select asked.id
    from unnest($1::uuid[]) as asked (id)
    where not exists (
        select 1
        from delivery
        where delivery.event_id = asked.id
            and delivery.status not in ('delivered', 'dead', 'cancelled', 'skipped')
    )
),
gone_attempt as (
    delete from attempt
    using delivery, victim
    where attempt.delivery_id = delivery.id and delivery.event_id = victim.id
),
gone_delivery as (
    delete from delivery
    using victim
    where delivery.event_id = victim.id
    returning delivery.status
),
gone_event as (
    delete from event
    using victim
    where event.id = victim.id
    returning event.id
),
counted as (
    insert into tally (slot, pruned_events, pruned_delivered, pruned_dead, pruned_cancelled, pruned_skipped)
    select
        $2, (select count(*) from gone_event),
        count(*) filter (where status = 'delivered'),
        count(*) filter (where status = 'dead'),
        count(*) filter (where status = 'cancelled'),
        count(*) filter (where status = 'skipped')
    from gone_delivery
    on conflict (slot) do update
    set pruned_events = tally.pruned_events + excluded.pruned_events,
        pruned_delivered = tally.pruned_delivered + excluded.pruned_delivered,
        pruned_dead = tally.pruned_dead + excluded.pruned_dead,
        pruned_cancelled = tally.pruned_cancelled + excluded.pruned_cancelled,
        pruned_skipped = tally.pruned_skipped + excluded.pruned_skipped
)
select count(*) as n_events
from gone_event
