-- Who may use the admin side, who uses it with a browser, and what was done there.
create table token (
    id blob not null primary key,   -- UUIDv7
    name text not null,             -- what the audit log calls its holder; of one token at a time
    hash blob not null,             -- SHA-256 of the token, which is kept nowhere
    role text not null,             -- consumer, viewer, operator or admin
    made_by text not null,          -- name of the token that asked for it
    created_at integer not null,    -- when it was made
    expires_at integer,             -- from then on it opens nothing; null: never
    used_at integer,                -- when it was last used, to the minute
    revoked_at integer              -- when it was revoked; the row stays
) strict, without rowid;
create unique index token_hash on token (hash);
create unique index token_name on token (name) where revoked_at is null;

-- Browsers that logged in with a token.
create table session (
    hash blob not null primary key, -- SHA-256 of what is in the cookie, which is kept nowhere
    token_id blob,                  -- the token it was opened with; null: one of the config
    proof blob not null,            -- HMAC of that token's hash under the cookie: tells which token of the config it was, to whoever has the cookie
    created_at integer not null,    -- when it was opened
    seen_at integer not null        -- when it was last used, to the minute
) strict, without rowid;

-- What was done on the admin side: a chain, appended to and never changed.
create table audit (
    seq integer not null primary key, -- 1 for the first, without gaps
    id blob not null,                 -- UUIDv7
    at integer not null,              -- when it was written, which is right after it was done
    actor text,                       -- name of the token; null: nobody whose token was known
    role text,                        -- the role that it had
    action text not null,             -- name of the operation, as the OpenAPI description has it
    target text,                      -- what it was done to: an id or a name
    status integer not null,          -- HTTP status of the answer
    detail text,                      -- what else is worth knowing; never a secret, never a body
    client text,                      -- address it came from
    hash blob not null                -- SHA-256 over the hash before it and all other columns
) strict;
create unique index audit_id on audit (id);

-- The end of the audit log: a tail that was cut off shows.
create table audit_head (
    one integer not null primary key check (one = 1),   -- there is one row
    seq integer not null,                               -- of the last entry; 0 before the first
    hash blob not null                                  -- of the last entry; 32 zeros before the first
) strict, without rowid;
insert into audit_head (one, seq, hash) values (1, 0, zeroblob(32));

create trigger audit_stays_as_it_is before update on audit
begin
    select raise(abort, 'the audit log is appended to, never changed');
end;
create trigger audit_stays before delete on audit
begin
    select raise(abort, 'the audit log is appended to, never changed');
end;
