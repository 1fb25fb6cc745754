-- The attempts of one delivery, the first one first. A delivery has dozens of them, seldom hundreds.
select
    id, number, trigger, started_at, duration_us, status_code, error, response_headers, response_body
from attempt
where delivery_id = $1
order by id
limit 10000
