)
-- The end of a statement that begins with the settlements as values. Where the claim is lost only the attempt counts.
update delivery
set n_attempts = delivery.n_attempts + 1,
    status = iif(delivery.fence = given.fence and delivery.status = 'delivering', given.status, delivery.status),
    due_at = iif(delivery.fence = given.fence and delivery.status = 'delivering', given.due_at, delivery.due_at),
    worker = iif(delivery.fence = given.fence and delivery.status = 'delivering', null, delivery.worker),
    lease_until = iif(delivery.fence = given.fence and delivery.status = 'delivering', null, delivery.lease_until),
    last_error = iif(delivery.fence = given.fence and delivery.status = 'delivering', given.error, delivery.last_error),
    is_manual = iif(delivery.fence = given.fence and delivery.status = 'delivering', 0, delivery.is_manual),
    fence = delivery.fence + (delivery.fence = given.fence and delivery.status = 'delivering')
from given
where delivery.id = given.delivery_id
