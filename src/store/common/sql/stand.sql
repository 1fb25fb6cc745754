-- Where an event stands among those of its resource: by the first of its deliveries that a route orders.
select id, route, order_key, order_at
from delivery
where event_id = $1 and order_key is not null and order_at is not null
order by id
limit 1
