-- Browsers that logged in by single sign-on: who it is and what they may, as their provider said when they did.
alter table session add column person text;  -- what the audit log calls them; null: it was opened with a token
alter table session add column role text;    -- viewer, operator or admin; null: the token's
