-- It was used, which is written down once in a while.
update token
set used_at = $2
where id = $1
    and (used_at is null or used_at < $3)
