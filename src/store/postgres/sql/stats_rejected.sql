-- Rejected requests that were kept since then, by source, cause and part of the time since.
select
    source, cause,
    least(60, floor((date_part('epoch', received_at) - date_part('epoch', $1::timestamptz)) * 1000000 / $2::bigint))::bigint as part,
    count(*) as n_rows
from rejected_request
where received_at >= $1
group by 1, 2, 3
