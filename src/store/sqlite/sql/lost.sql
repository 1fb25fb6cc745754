-- Of these claims, which are no longer this worker's.
select unhex(held.value ->> 0) as id
from json_each(?1) as held
where not exists (
    select 1
    from delivery
    where delivery.id = unhex(held.value ->> 0)
        and delivery.fence = held.value ->> 1
        and delivery.status = 'delivering'
        and delivery.worker = ?2
)
