-- Every token, newest first.
select id, name, role, made_by, created_at, expires_at, used_at, revoked_at
from token
order by id desc
limit $1
