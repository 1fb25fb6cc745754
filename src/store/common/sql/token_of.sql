-- The token of a hash, live or not.
select id, name, role, made_by, created_at, expires_at, used_at, revoked_at
from token
where hash = $1
