)
-- The end of a statement that begins with the settlements as values: those whose claim is lost, and those whose attempt
-- is recorded already.
select
    given.delivery_id,
    attempt.id is not null as is_known
from given
left join attempt on attempt.delivery_id = given.delivery_id and attempt.id = given.id
left join delivery on delivery.id = given.delivery_id
where attempt.id is not null
    or delivery.id is null
    or delivery.fence <> given.fence
    or delivery.status <> 'delivering'
