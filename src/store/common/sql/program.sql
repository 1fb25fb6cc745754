-- One program.
select name, code
from program
where id = $1
