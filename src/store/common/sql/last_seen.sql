-- Whose the newest so many events are, and when the last of each came.
select source, max(received_at) as last_at
from (select source, received_at from event order by id desc limit $1) as newest
group by source
