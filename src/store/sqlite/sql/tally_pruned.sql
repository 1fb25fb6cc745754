-- Count what is about to be removed.
update tally
set pruned_events = pruned_events + json_array_length(?1),
    pruned_delivered = pruned_delivered + gone.delivered,
    pruned_dead = pruned_dead + gone.dead,
    pruned_cancelled = pruned_cancelled + gone.cancelled,
    pruned_skipped = pruned_skipped + gone.skipped
from (
    select
        count(*) filter (where status = 'delivered') as delivered,
        count(*) filter (where status = 'dead') as dead,
        count(*) filter (where status = 'cancelled') as cancelled,
        count(*) filter (where status = 'skipped') as skipped
    from delivery
    where event_id in (select unhex(value ->> 0) from json_each(?1))
) as gone
where tally.slot = 0
