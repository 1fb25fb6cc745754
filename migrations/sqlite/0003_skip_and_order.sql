-- Why a delivery is skipped, and where it stands among those of its key.
alter table delivery add column cause text;        -- of a skipped one, why: filtered or stale
alter table delivery add column order_mode text;   -- strict, strict-hold, latest or flag; null where the route orders nothing
alter table delivery add column order_key blob;    -- SHA-256 of what the events of one resource share
alter table delivery add column order_at integer;  -- when it happened, as the route reads it; of equal ones the id decides

-- One at a time for each key, whatever two workers see at once.
create unique index delivery_lane on delivery (route, order_key)
    where status = 'delivering' and order_key is not null and order_mode <> 'flag';
-- Who waits before or behind a delivery, and whether a later one was delivered.
create index delivery_order_waiting on delivery (route, order_key, order_at, id)
    where order_key is not null and status in ('pending', 'retrying', 'held', 'dead');
create index delivery_order_delivered on delivery (route, order_key, order_at, id)
    where order_key is not null and status = 'delivered';
