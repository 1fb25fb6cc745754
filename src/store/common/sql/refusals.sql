-- Requests that were refused lately, by source and cause, among the newest that are kept.
select source, cause, count(*) as n_rows, max(received_at) as last_at
from (
    select source, cause, received_at
    from rejected_request
    order by id desc
    limit $2
) as newest
where received_at >= $1
group by source, cause
order by source, cause
