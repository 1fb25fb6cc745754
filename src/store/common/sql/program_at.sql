-- What a route did at a time.
select id
from program
where route = $1 and since <= $2
order by since desc, id desc
limit 1
