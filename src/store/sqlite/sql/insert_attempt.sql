-- One attempt. One that is there already came with an earlier try whose answer was lost.
insert into attempt
    (delivery_id, id, number, trigger, started_at, duration_us, status_code, error, response_headers, response_body)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
on conflict do nothing
