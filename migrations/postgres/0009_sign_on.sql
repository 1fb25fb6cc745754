-- Browsers that logged in by single sign-on: who it is and what they may, as their provider said when they did.
alter table session
    add column person text,
    add column role text;
comment on column session.person is 'Who logged in by single sign-on, as the audit log calls them; null: it was opened with a token';
comment on column session.role is 'What they may: viewer, operator or admin; null: what the token may';
comment on column session.proof is 'HMAC under the cookie of that token''s hash, or of the rules of single sign-on: tells which ones it was opened by, to whoever has the cookie';
