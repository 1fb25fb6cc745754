-- It was used, which is written down once in a while.
update session
set seen_at = $2
where hash = $1
    and seen_at < $3
