-- Whether a delivery is the first of its key within the window: then the key is its own from now on.
insert into once as known (route, key, since, until, delivery_id)
values (?1, ?2, ?3, ?4, ?5)
on conflict (route, key) do update
set since = excluded.since, until = excluded.until, delivery_id = excluded.delivery_id
where known.until <= excluded.since
