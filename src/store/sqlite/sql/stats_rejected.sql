-- Rejected requests that were kept since then, by source, cause and part of the time since.
select source, cause, (received_at - ?1) / ?2 as part, count(*) as n_rows
from rejected_request
where received_at >= ?1
group by 1, 2, 3
