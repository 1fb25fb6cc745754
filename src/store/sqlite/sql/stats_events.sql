-- Events since then, by source and part of the time since, and the last of them.
select source, (received_at - ?1) / ?2 as part, count(*) as n_rows, max(received_at) as last_at
from event
where received_at >= ?1
group by 1, 2
