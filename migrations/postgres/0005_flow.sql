-- What was never tried and what is tried again wait in lines of their own, so that a claim takes its share of either without
-- reading past the other.
drop index delivery_due;
create index delivery_due on delivery (destination, status, due_at, id) where status in ('pending', 'retrying');

create table replica (
    worker uuid primary key,
    until timestamptz not null
);
comment on table replica is 'The processes that deliver, so that they share the rate of a destination';
comment on column replica.worker is 'The process';
comment on column replica.until is 'Until when it counts, unless it says again that it is there';
