-- How long the last attempts took, by destination.
select newest.destination, cast(avg(attempt.duration_us) as bigint) as duration_us, count(*) as n_attempts
from (
    select id, destination
    from delivery
    order by id desc
    limit 1000
) as newest
join attempt on attempt.delivery_id = newest.id
group by newest.destination
