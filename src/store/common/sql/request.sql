-- One rejected request with its body.
select
    id, source, cause, explanation, received_at, method, target, client, headers, body, size, accepted_as
from rejected_request
where id = $1
