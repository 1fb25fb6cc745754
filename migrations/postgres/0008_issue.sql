-- Issues: what is wrong, grouped by a key; who was told of their changes; and how often sources usually say something.
create table issue (
    id uuid primary key,
    key text not null,
    rule text not null,
    severity text not null,
    source text,
    destination text,
    route text,
    cause text,
    state text not null,
    summary text not null,
    count bigint not null,
    n_opened integer not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    holds_at timestamptz not null,
    changed_at timestamptz not null,
    changed_by text,
    reason text
) with (fillfactor = 50);
comment on table issue is 'What is wrong, or was: troubles of one kind at one place are one row';
comment on column issue.id is 'UUIDv7';
comment on column issue.key is 'What makes two troubles the same: the rule, and where it is';
comment on column issue.rule is 'Name of the rule that found it';
comment on column issue.severity is 'warning or critical';
comment on column issue.source is 'The source that it is about';
comment on column issue.destination is 'The destination that it is about';
comment on column issue.route is 'The route that it is about';
comment on column issue.cause is 'What exactly, where a rule tells several apart: of refused requests, why';
comment on column issue.state is 'open, acknowledged, resolved or ignored';
comment on column issue.summary is 'One sentence for an operator, as of the last look';
comment on column issue.count is 'How many failures it stood for at the last look; 0 once it is gone';
comment on column issue.n_opened is 'How often it was opened';
comment on column issue.first_seen_at is 'When it was first found';
comment on column issue.last_seen_at is 'When it last happened, or became worse';
comment on column issue.holds_at is 'When it was last found to be there';
comment on column issue.changed_at is 'When its state last changed';
comment on column issue.changed_by is 'Name of the token that changed it; null: gatepost itself';
comment on column issue.reason is 'Why, in the words of who changed it';

create unique index issue_key on issue (key);
-- Few, and looked for often.
create index issue_live on issue (id) where state in ('open', 'acknowledged');

create table notice (
    id uuid primary key,
    issue_id uuid not null,
    notification text not null,
    change text not null,
    changed_by text,
    created_at timestamptz not null,
    due_at timestamptz,
    n_tries integer not null default 0,
    last_error text,
    sent_at timestamptz
) with (fillfactor = 50);
comment on table notice is 'What is to be told to whom, and was: one row for each change of an issue and each notification that wants it';
comment on column notice.id is 'UUIDv7; the receiver sees it, and can tell a repetition by it';
comment on column notice.issue_id is 'The issue';
comment on column notice.notification is 'Name of the notification';
comment on column notice.change is 'opened, reopened, acknowledged, resolved or ignored';
comment on column notice.changed_by is 'Name of the token that did it; null: gatepost itself';
comment on column notice.created_at is 'When the issue changed';
comment on column notice.due_at is 'When it may be sent; null: it was sent, or given up';
comment on column notice.n_tries is 'How often it was tried';
comment on column notice.last_error is 'Why the last try failed';
comment on column notice.sent_at is 'When it was taken; of what went in one message, the same';

create index notice_due on notice (notification, due_at, id) where due_at is not null;
create index notice_sent on notice (notification, sent_at) where sent_at is not null;
create index notice_issue on notice (issue_id, id);

create table rhythm (
    source text not null,
    day integer not null,
    last_at timestamptz not null,
    longest_gap_us bigint not null,
    primary key (source, day)
) with (fillfactor = 50);
comment on table rhythm is 'How often sources usually say something, a row for each day on which they did';
comment on column rhythm.source is 'Name of the source';
comment on column rhythm.day is 'Days since 1970';
comment on column rhythm.last_at is 'When it last said something on that day';
comment on column rhythm.longest_gap_us is 'The longest silence that ended on that day, in microseconds';
