-- One event with its body.
select
    id as event_id, source, external_id, type, origin as event_origin, verified, occurred_at, received_at, query,
    headers, body, body_hash
from event
where id = $1
