-- One rejected request. One that is there already came with an earlier try whose answer was lost.
insert into rejected_request
    (id, source, cause, explanation, received_at, method, target, client, headers, body, size)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
on conflict do nothing
