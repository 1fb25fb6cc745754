-- Bulk work: retry, replay or cancel of all that a filter finds, worked off a batch at a time.
create table job (
    id blob not null primary key,          -- UUIDv7
    action text not null,                  -- retry, replay or cancel
    state text not null,                   -- running, paused, cancelled or done
    filter text not null,                  -- which deliveries, or for a replay which events, as JSON
    to_route text,                         -- of a replay: only by this route
    to_destination text,                   -- of a replay: only to this destination
    to_url text,                           -- of a replay: to this URL, which is in no config
    per_second integer,                    -- at most so many a second; null: as fast as the destinations take them
    made_by text not null,                 -- name of the token that asked for it
    reason text,                           -- why, in the words of who asked for it
    cursor blob,                           -- the last delivery or event that was looked at
    last blob not null,                    -- the last one that there was when it was made
    n_planned integer not null,            -- what the filter found when it was made
    n_matched integer not null default 0,  -- what was found and worked off so far
    n_changed integer not null default 0,  -- deliveries that were put back, made or given up
    n_skipped integer not null default 0,  -- of what was found, those with which nothing was to be done
    created_at integer not null,           -- when it was made
    ended_at integer                       -- when it was done or cancelled
) strict, without rowid;

-- Few, and looked for often.
create index job_running on job (id) where state = 'running';
