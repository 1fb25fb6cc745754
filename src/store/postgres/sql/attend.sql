-- Say that this process is there, forget those that are gone, and count all that are there.
with mine as (
    insert into replica (worker, until)
    values ($1, $3)
    on conflict (worker) do update
    set until = excluded.until
),
gone as (
    delete from replica
    where worker in (
        select worker
        from replica
        where worker <> $1 and until <= $2
        for update skip locked
    )
)
select count(*) + 1
from replica
where worker <> $1
    and until > $2
