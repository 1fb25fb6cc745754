-- One delivery. One that is there already came with an earlier try whose answer was lost.
insert into delivery
    (id, event_id, route, destination, origin, status, fence, worker, lease_until, due_at, cause, last_error,
    order_mode, order_key, order_at, created_at, program_id)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
on conflict do nothing
