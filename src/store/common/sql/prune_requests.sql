-- Remove requests that are too old, and those beyond the number that is kept.
delete from rejected_request
where id in (
    select id
    from rejected_request
    where received_at < $1
        or id <= (select id from rejected_request order by id desc limit 1 offset $2)
    order by id
    limit $3
)
