-- What routes did before, where another followed it by then and no delivery is to run it.
delete from program
where id in (
    select program.id
    from program
    where exists (
            select 1
            from program as later
            where later.route = program.route
                and (later.since, later.id) > (program.since, program.id)
                and later.since <= $1
        )
        and not exists (select 1 from delivery where delivery.program_id = program.id)
    limit $2
)
