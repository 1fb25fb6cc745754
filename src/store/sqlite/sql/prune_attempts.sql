-- The attempts of the deliveries of these events.
delete from attempt
where delivery_id in (
    select id
    from delivery
    where event_id in (select unhex(value ->> 0) from json_each(?1))
)
