-- Dead letters by destination, among the newest of them.
select destination, count(*) as n_rows
from (
    select destination
    from delivery
    where status = 'dead'
    order by id desc
    limit $1
) as newest
group by destination
order by destination
