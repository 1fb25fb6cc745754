-- Deliveries made since then, by destination, by what has become of them, and by part of the time since. The ids say where to begin.
select
    destination, status,
    least(60, floor((date_part('epoch', created_at) - date_part('epoch', $1::timestamptz)) * 1000000 / $2::bigint))::bigint as part,
    count(*) as n_rows
from delivery
where id >= $3 and created_at >= $1
group by 1, 2, 3
