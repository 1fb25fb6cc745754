-- Dead letters by destination, each counted up to a limit. From one destination to the next it leaps through the index, so that a store
-- full of them is looked at as cheaply.
with recursive names (destination) as (
    select (
        select destination
        from delivery
        where status = 'dead'
        order by destination
        limit 1
    )
    union all
    select (
        select destination
        from delivery
        where status = 'dead'
            and destination > names.destination
        order by destination
        limit 1
    )
    from names
    where names.destination is not null
)
select
    destination,
    (
        select count(*)
        from (
            select 1
            from delivery
            where status = 'dead'
                and destination = names.destination
            limit $1
        ) as counted
    ) as n_rows
from names
where destination is not null
order by destination
