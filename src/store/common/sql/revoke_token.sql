-- From now on it opens nothing. The first time counts.
update token
set revoked_at = coalesce(revoked_at, $2)
where id = $1
returning id, name, role, made_by, created_at, expires_at, used_at, revoked_at
