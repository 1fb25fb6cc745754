-- Who may use the admin side, who uses it with a browser, and what was done there.
create table token (
    id uuid primary key,
    name text not null,
    hash bytea not null,
    role text not null,
    made_by text not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    used_at timestamptz,
    revoked_at timestamptz
);
comment on table token is 'Tokens of the admin side that were made while it ran; those of the config are not here';
comment on column token.id is 'UUIDv7';
comment on column token.name is 'What the audit log calls its holder; of one token at a time';
comment on column token.hash is 'SHA-256 of the token, which is kept nowhere';
comment on column token.role is 'consumer, viewer, operator or admin';
comment on column token.made_by is 'Name of the token that asked for it';
comment on column token.created_at is 'When it was made';
comment on column token.expires_at is 'From then on it opens nothing; null: never';
comment on column token.used_at is 'When it was last used, to the minute';
comment on column token.revoked_at is 'When it was revoked; the row stays';
create unique index token_hash on token (hash);
create unique index token_name on token (name) where revoked_at is null;

create table session (
    hash bytea primary key,
    token_id uuid,
    proof bytea not null,
    created_at timestamptz not null,
    seen_at timestamptz not null
);
comment on table session is 'Browsers that logged in with a token';
comment on column session.hash is 'SHA-256 of what is in the cookie, which is kept nowhere';
comment on column session.token_id is 'The token it was opened with; null: one of the config';
comment on column session.proof is 'HMAC of that token''s hash under the cookie: tells which token of the config it was, to whoever has the cookie';
comment on column session.created_at is 'When it was opened';
comment on column session.seen_at is 'When it was last used, to the minute';

create table audit (
    seq bigint primary key,
    id uuid not null,
    at timestamptz not null,
    actor text,
    role text,
    action text not null,
    target text,
    status integer not null,
    detail text,
    client text,
    hash bytea not null
);
comment on table audit is 'What was done on the admin side: a chain, appended to and never changed';
comment on column audit.seq is '1 for the first, without gaps';
comment on column audit.id is 'UUIDv7';
comment on column audit.at is 'When it was written, which is right after it was done';
comment on column audit.actor is 'Name of the token; null: nobody whose token was known';
comment on column audit.role is 'The role that it had';
comment on column audit.action is 'Name of the operation, as the OpenAPI description has it';
comment on column audit.target is 'What it was done to: an id or a name';
comment on column audit.status is 'HTTP status of the answer';
comment on column audit.detail is 'What else is worth knowing; never a secret, never a body';
comment on column audit.client is 'Address it came from';
comment on column audit.hash is 'SHA-256 over the hash before it and all other columns';
create unique index audit_id on audit (id);

create table audit_head (
    one boolean primary key check (one),
    seq bigint not null,
    hash bytea not null
);
comment on table audit_head is 'The end of the audit log: who appends holds this row, and a tail that was cut off shows';
comment on column audit_head.one is 'There is one row';
comment on column audit_head.seq is 'Of the last entry; 0 before the first';
comment on column audit_head.hash is 'Of the last entry; 32 zeros before the first';
insert into audit_head (one, seq, hash) values (true, 0, decode(repeat('00', 32), 'hex'));

create function audit_stays() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is appended to, never changed';
end
$$;
create trigger audit_stays before update or delete or truncate on audit
    for each statement execute function audit_stays();
