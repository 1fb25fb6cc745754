-- The ids of what is due for one destination and status and waits for nothing else, the oldest first. A damaged id or fence is passed
-- over: it is counted as stuck. Of those that have a key: see `claim.sql` of Postgres. The statuses stand as in the index
-- `delivery_order_waiting`: SQLite uses it for no fewer.
select delivery.id
from delivery
where delivery.destination = ?1
    and delivery.status = ?4
    and delivery.status in ('pending', 'retrying')
    and delivery.due_at <= ?2
    and length(delivery.id) = 16
    and delivery.fence < 9223372036854775806
    and not exists (select 1 from hold where hold.kind = 'destination' and hold.name = delivery.destination)
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
                and other.status in ('pending', 'retrying', 'held', 'dead') and other.status <> 'dead'
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
limit ?3
