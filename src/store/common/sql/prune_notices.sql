-- What was told, or was to be, of changes that are long past.
delete from notice
where id in (
    select id
    from notice
    where id < $1
    order by id
    limit $2
)
