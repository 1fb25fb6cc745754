-- A thousand of those that a later event of their key has overtaken, so that a burst costs few claims. The statuses stand as
-- in the index `delivery_order_waiting`.
update delivery
set status = 'skipped', cause = 'stale', last_error = ?3, fence = fence + 1, due_at = null
where id in (
    select delivery.id
    from delivery
    where delivery.destination = ?1
        and delivery.status in ('pending', 'retrying')
        and delivery.due_at <= ?2
        and delivery.order_mode = 'latest'
        and not delivery.is_manual
        and (
            exists (
                select 1 from delivery as other
                where other.route = delivery.route and other.order_key = delivery.order_key
                    and other.status in ('pending', 'retrying', 'held', 'dead') and other.status <> 'dead'
                    and (other.order_at, other.id) > (delivery.order_at, delivery.id)
            )
            or exists (
                select 1 from delivery as other
                where other.route = delivery.route and other.order_key = delivery.order_key
                    and other.status = 'delivered'
                    and (other.order_at, other.id) > (delivery.order_at, delivery.id)
            )
        )
    limit 1000
)
