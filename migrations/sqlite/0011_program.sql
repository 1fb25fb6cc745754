-- What routes make of events, and since when, so that a replay can do as it was done when an event came in: one row from each
-- change of a route on.
create table program (
    id blob not null primary key,   -- UUIDv7
    route text not null,            -- name of the route
    since integer not null,         -- from when on, until the next one of the route
    name text,                      -- of its file, or transform; null: it made nothing of them
    code text                       -- JavaScript; null: it made nothing of them
) strict;

create index program_route on program (route, since, id);

alter table delivery add column program_id blob;  -- what is made of the event in place of what its route does today; null: what that does

-- Few have one.
create index delivery_program on delivery (program_id) where program_id is not null;
