-- Take what is due, the oldest first, so many for each destination and status; rows that another worker is taking are passed over,
-- and so is a damaged fence, which could not grow: it is counted as stuck.
--
-- Of those that have a key: `strict` waits for whatever is in hand or earlier, `latest` for what is in hand, and is skipped
-- where there is a later one, unless an operator asked for it; then it waits for that. `flag` waits for nothing. Two workers
-- that see different rows may still pick two of one key: then the index `delivery_lane` refuses the second.
with wanted as (
    select *
    from unnest($1::text[], $7::text[], $2::bigint[]) as wanted (destination, status, n_rows)
    where not exists (select 1 from hold where hold.kind = 'destination' and hold.name = wanted.destination)
),
due as (
    select found.*
    from wanted
    cross join lateral (
        select
            delivery.id, delivery.due_at, delivery.order_mode, delivery.is_manual,
            delivery.status = 'retrying' as is_retry,
            delivery.order_mode in ('latest', 'flag') and (
                exists (
                    select 1 from delivery as other
                    where other.route = delivery.route and other.order_key = delivery.order_key
                        and other.status = 'delivered'
                        and (other.order_at, other.id) > (delivery.order_at, delivery.id)
                )
                or delivery.order_mode = 'latest' and exists (
                    select 1 from delivery as other
                    where other.route = delivery.route and other.order_key = delivery.order_key
                        and other.status in ('pending', 'retrying', 'held')
                        and (other.order_at, other.id) > (delivery.order_at, delivery.id)
                )
            ) as is_stale
        from delivery
        where delivery.destination = wanted.destination
            and delivery.status = wanted.status
            and delivery.status in ('pending', 'retrying')
            and delivery.due_at <= $3
            and delivery.fence < 9223372036854775806
            and not exists (select 1 from hold where hold.kind = 'route' and hold.name = delivery.route)
            and case
                when delivery.order_key is null or delivery.order_mode = 'flag' then true
                when exists (
                    select 1 from delivery as other
                    where other.route = delivery.route and other.order_key = delivery.order_key
                        and other.status = 'delivering' and other.order_mode <> 'flag'
                ) then false
                when delivery.order_mode = 'latest' then not delivery.is_manual or not exists (
                    select 1 from delivery as other
                    where other.route = delivery.route and other.order_key = delivery.order_key
                        and other.status in ('pending', 'retrying', 'held')
                        and (other.order_at, other.id) > (delivery.order_at, delivery.id)
                )
                else not exists (
                    select 1 from delivery as other
                    where other.route = delivery.route and other.order_key = delivery.order_key
                        and other.status in ('pending', 'retrying', 'held', 'dead')
                        and (other.status <> 'dead' or delivery.order_mode = 'strict-hold')
                        and (other.order_at, other.id) < (delivery.order_at, delivery.id)
                )
            end
        order by delivery.due_at, delivery.id
        limit wanted.n_rows
        for update skip locked
    ) as found
),
taken as (
    update delivery
    set status = case when due.is_skipped then 'skipped' else 'delivering' end,
        cause = case when due.is_skipped then 'stale' end,
        last_error = case when due.is_skipped then $6 else delivery.last_error end,
        worker = case when due.is_skipped then null else $4::uuid end,
        lease_until = case when due.is_skipped then null else $5::timestamptz end,
        fence = delivery.fence + 1, due_at = null
    from (select *, order_mode = 'latest' and is_stale and not is_manual as is_skipped from due) as due
    where delivery.id = due.id
    returning
        delivery.id, delivery.event_id, delivery.route, delivery.destination, delivery.origin, delivery.status,
        delivery.is_manual, delivery.n_attempts, delivery.due_at, delivery.last_error, delivery.cause, delivery.created_at,
        delivery.fence, delivery.program_id, due.due_at as was_due_at, due.is_stale, due.is_retry
)
select
    taken.id, taken.event_id, taken.route, taken.destination, taken.origin, taken.status, taken.is_manual,
    taken.n_attempts, taken.due_at, taken.last_error, taken.cause, taken.created_at, taken.fence, taken.program_id, taken.is_stale, taken.is_retry,
    event.source, event.external_id, event.type, event.origin as event_origin, event.verified, event.occurred_at,
    event.received_at, event.query, event.headers, event.body, event.body_hash
from taken
left join event on event.id = taken.event_id and taken.status = 'delivering'
order by taken.destination, taken.was_due_at, taken.id
