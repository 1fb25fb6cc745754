-- The counts that must add up, on one snapshot.
with tallied as (
    select
        cast(coalesce(sum(received), 0) as bigint) as received,
        cast(coalesce(sum(rejected), 0) as bigint) as rejected,
        cast(coalesce(sum(duplicates), 0) as bigint) as duplicates,
        cast(coalesce(sum(conflicts), 0) as bigint) as conflicts,
        cast(coalesce(sum(deliveries), 0) as bigint) as deliveries,
        cast(coalesce(sum(pruned_events), 0) as bigint) as events,
        cast(coalesce(sum(pruned_delivered), 0) as bigint) as delivered,
        cast(coalesce(sum(pruned_dead), 0) as bigint) as dead,
        cast(coalesce(sum(pruned_cancelled), 0) as bigint) as cancelled,
        cast(coalesce(sum(pruned_skipped), 0) as bigint) as skipped
    from tally
),
counted as (
    select
        count(*) filter (where status = 'delivered') as delivered,
        count(*) filter (where status in ('pending', 'delivering', 'retrying', 'held')) as open,
        count(*) filter (where status = 'dead') as dead,
        count(*) filter (where status = 'cancelled') as cancelled,
        count(*) filter (where status = 'skipped') as skipped
    from delivery
)
select
    tallied.received, tallied.rejected, tallied.duplicates, tallied.conflicts,
    (select count(*) from event) + tallied.events as stored,
    tallied.deliveries,
    counted.delivered + tallied.delivered as delivered,
    counted.open,
    counted.dead + tallied.dead as dead,
    counted.cancelled + tallied.cancelled as cancelled,
    counted.skipped + tallied.skipped as skipped,
    (select count(*) from delivery where status = 'delivering' and lease_until < $1) as stuck_delivering,
    (
        select count(*)
        from delivery
        where status in ('pending', 'retrying')
            and due_at < $1
            and not exists (select 1 from hold where hold.kind = 'destination' and hold.name = delivery.destination)
            and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
    ) as stuck_waiting,
    (
        select count(*)
        from delivery
        where status = 'held'
            and (due_at is null or due_at < $1)
            and not exists (select 1 from hold where hold.kind = 'destination' and hold.name = delivery.destination)
            and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
    ) as stuck_held
from tallied
cross join counted
