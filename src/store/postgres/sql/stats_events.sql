-- Events since then, by source and part of the time since, and the last of them.
select
    source,
    least(60, floor((date_part('epoch', received_at) - date_part('epoch', $1::timestamptz)) * 1000000 / $2::bigint))::bigint as part,
    count(*) as n_rows, max(received_at) as last_at
from event
where received_at >= $1
group by 1, 2
