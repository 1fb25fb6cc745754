-- What a route did last.
select name, code
from program
where route = $1
order by since desc, id desc
limit 1
