-- The next link of the chain.
insert into audit (seq, id, at, actor, role, action, target, status, detail, client, hash)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
