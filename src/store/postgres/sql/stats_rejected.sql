-- Rejected requests that were kept since then, by source, cause and part of the time since.
select source, cause, floor(extract(epoch from received_at - $1::timestamptz)::float8 * 1000000 / $2::bigint)::bigint as part, count(*) as n_rows
from rejected_request
where received_at >= $1
group by 1, 2, 3
