-- One event. Where its id or its key is there already, nothing.
insert into event
    (id, source, key, body_hash, external_id, type, origin, verified, occurred_at, received_at, headers, body, query)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
on conflict do nothing
