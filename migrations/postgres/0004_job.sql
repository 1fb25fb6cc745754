-- Bulk work: retry, replay or cancel of all that a filter finds, worked off a batch at a time.
create table job (
    id uuid primary key,
    action text not null,
    state text not null,
    filter text not null,
    to_route text,
    to_destination text,
    to_url text,
    per_second integer,
    made_by text not null,
    reason text,
    cursor uuid,
    last uuid not null,
    n_planned bigint not null,
    n_matched bigint not null default 0,
    n_changed bigint not null default 0,
    n_skipped bigint not null default 0,
    created_at timestamptz not null,
    ended_at timestamptz
) with (fillfactor = 50);
comment on table job is 'Bulk work: an action on all that a filter finds, worked off a batch at a time';
comment on column job.id is 'UUIDv7';
comment on column job.action is 'retry, replay or cancel';
comment on column job.state is 'running, paused, cancelled or done';
comment on column job.filter is 'Which deliveries, or for a replay which events, as JSON';
comment on column job.to_route is 'Of a replay: only by this route';
comment on column job.to_destination is 'Of a replay: only to this destination';
comment on column job.to_url is 'Of a replay: to this URL, which is in no config';
comment on column job.per_second is 'At most so many a second; null: as fast as the destinations take them';
comment on column job.made_by is 'Name of the token that asked for it';
comment on column job.reason is 'Why, in the words of who asked for it';
comment on column job.cursor is 'The last delivery or event that was looked at';
comment on column job.last is 'The last one that there was when it was made';
comment on column job.n_planned is 'What the filter found when it was made';
comment on column job.n_matched is 'What was found and worked off so far';
comment on column job.n_changed is 'Deliveries that were put back, made or given up';
comment on column job.n_skipped is 'Of what was found, those with which nothing was to be done';
comment on column job.created_at is 'When it was made';
comment on column job.ended_at is 'When it was done or cancelled';

-- Few, and looked for often.
create index job_running on job (id) where state = 'running';
