-- Resolved issues that did not change for long.
delete from issue
where id in (
    select id
    from issue
    where state = 'resolved'
        and changed_at < $1
    order by id
    limit $2
)
