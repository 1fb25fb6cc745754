-- Record attempts and move their deliveries on. What is in `given` and not in `moved` is lost: its status is not ours to
-- change, its attempt is kept all the same. An attempt that is there already came with an earlier try: it is in neither.
-- A damaged count does not grow further, so that it fails nobody else's result.
--
-- `claimed` is compared as a column, so that the planner cannot take the index of all that is being delivered: it believes it
-- to be almost empty, and reads through all that was taken out of it since the last vacuum. What is given stands in the order of
-- the ids, here as in `renew` and `release`: rows are locked in it, so that none of these waits for another that waits for it.
with given as (
    select *, 'delivering' as claimed
    from unnest(
        $1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::uuid[], $6::integer[], $7::text[],
        $8::timestamptz[], $9::bigint[], $10::integer[], $11::text[], $12::bytea[], $13::bytea[]
    ) as given (
        delivery_id, fence, status, due_at, id, number, trigger,
        started_at, duration_us, status_code, error, response_headers, response_body
    )
    where not exists (
        select 1 from attempt where attempt.delivery_id = given.delivery_id and attempt.id = given.id
    )
),
moved as (
    update delivery
    set status = given.status, due_at = given.due_at, fence = delivery.fence + 1, worker = null, lease_until = null,
        last_error = given.error, is_manual = false, n_attempts = least(delivery.n_attempts, 2147483646) + 1
    from given
    where delivery.id = given.delivery_id and delivery.fence = given.fence and delivery.status = given.claimed
    returning delivery.id
),
late as (
    update delivery
    set n_attempts = least(delivery.n_attempts, 2147483646) + 1
    from given
    where delivery.id = given.delivery_id and not (delivery.fence = given.fence and delivery.status = given.claimed)
),
new_attempt as (
    insert into attempt (
        delivery_id, id, number, trigger, started_at, duration_us, status_code, error, response_headers, response_body
    )
    select
        delivery_id, id, number, trigger, started_at, duration_us, status_code, error, response_headers, response_body
    from given
    on conflict do nothing
)
select
    array(select delivery_id from given) as given,
    array(select id from moved) as moved
