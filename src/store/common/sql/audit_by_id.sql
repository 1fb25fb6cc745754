-- The entry of an id.
select seq, id, at, actor, role, action, target, status, detail, client, hash
from audit
where id = $1
