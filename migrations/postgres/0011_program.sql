-- What routes make of events, and since when, so that a replay can do as it was done when an event came in.
create table program (
    id uuid primary key,
    route text not null,
    since timestamptz not null,
    name text,
    code text
);
comment on table program is 'What each route made of events, one row from each change of it on';
comment on column program.id is 'UUIDv7';
comment on column program.route is 'Name of the route';
comment on column program.since is 'From when on, until the next one of the route';
comment on column program.name is 'Of its file, or transform; null: it made nothing of them';
comment on column program.code is 'JavaScript; null: it made nothing of them';

create index program_route on program (route, since, id);

alter table delivery add column program_id uuid;
comment on column delivery.program_id is 'What is made of the event in place of what its route does today; null: what that does';

-- Few have one.
create index delivery_program on delivery (program_id) where program_id is not null;
