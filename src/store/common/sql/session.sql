-- A session, and the token that it was opened with where that is in the store.
select session.token_id, session.proof, session.created_at as opened_at, session.seen_at, session.person, session.role as person_role,
    token.id, token.name, token.role, token.made_by, token.created_at, token.expires_at, token.used_at, token.revoked_at
from session
left join token on token.id = session.token_id
where session.hash = $1
