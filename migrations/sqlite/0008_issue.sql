-- Issues: what is wrong, grouped by a key; who was told of their changes; and how often sources usually say something.
-- What is wrong, or was: troubles of one kind at one place are one row.
create table issue (
    id blob not null primary key,       -- UUIDv7
    key text not null,                  -- what makes two troubles the same: the rule, and where it is
    rule text not null,                 -- name of the rule that found it
    severity text not null,             -- warning or critical
    source text,                        -- the source that it is about
    destination text,                   -- the destination that it is about
    route text,                         -- the route that it is about
    cause text,                         -- what exactly, where a rule tells several apart: of refused requests, why
    state text not null,                -- open, acknowledged, resolved or ignored
    summary text not null,              -- one sentence for an operator, as of the last look
    count integer not null,             -- how many failures it stood for at the last look; 0 once it is gone
    n_opened integer not null,          -- how often it was opened
    first_seen_at integer not null,     -- when it was first found
    last_seen_at integer not null,      -- when it last happened, or became worse
    holds_at integer not null,          -- when it was last found to be there
    changed_at integer not null,        -- when its state last changed
    changed_by text,                    -- name of the token that changed it; null: gatepost itself
    reason text                         -- why, in the words of who changed it
) strict, without rowid;

create unique index issue_key on issue (key);
-- Few, and looked for often.
create index issue_live on issue (id) where state in ('open', 'acknowledged');

-- What is to be told to whom, and was: one row for each change of an issue and each notification that wants it.
create table notice (
    id blob not null primary key,       -- UUIDv7; the receiver sees it, and can tell a repetition by it
    issue_id blob not null,             -- the issue
    notification text not null,         -- name of the notification
    change text not null,               -- opened, reopened, acknowledged, resolved or ignored
    changed_by text,                    -- name of the token that did it; null: gatepost itself
    created_at integer not null,        -- when the issue changed
    due_at integer,                     -- when it may be sent; null: it was sent, or given up
    n_tries integer not null default 0, -- how often it was tried
    last_error text,                    -- why the last try failed
    sent_at integer                     -- when it was taken; of what went in one message, the same
) strict, without rowid;

create index notice_due on notice (notification, due_at, id) where due_at is not null;
create index notice_sent on notice (notification, sent_at) where sent_at is not null;
create index notice_issue on notice (issue_id, id);

-- How often sources usually say something, a row for each day on which they did.
create table rhythm (
    source text not null,             -- name of the source
    day integer not null,             -- days since 1970
    last_at integer not null,         -- when it last said something on that day
    longest_gap_us integer not null,  -- the longest silence that ended on that day, in microseconds
    primary key (source, day)
) strict, without rowid;
