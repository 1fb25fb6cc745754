-- The unique index on the key had its entries in the order of hashes: in a large store every insert met a page of its own,
-- read it, and wrote it to the log whole. The ids of most senders grow with time, so with their beginning in front what
-- comes in lies side by side. Equal keys have equal ids, so the index is as unique as before.
drop index event_key;
create unique index event_key on event (substr(coalesce(external_id, ''), 1, 12), key) where key is not null;
