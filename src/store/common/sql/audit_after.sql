-- The links after one, in the order of the chain.
select seq, id, at, actor, role, action, target, status, detail, client, hash
from audit
where seq > $1
order by seq
limit $2
