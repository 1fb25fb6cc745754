-- What was never tried and what is tried again wait in lines of their own, so that a claim takes its share of either without
-- reading past the other.
drop index delivery_due;
create index delivery_due on delivery (destination, status, due_at, id) where status in ('pending', 'retrying');
