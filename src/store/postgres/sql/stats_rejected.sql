-- Rejected requests that were kept lately.
select source, cause, count(*) as n_rows
from rejected_request
where received_at >= $1
group by source, cause
