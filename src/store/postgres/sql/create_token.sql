-- A token, unless another that is not revoked has its name. Made again after an answer that was lost, it is the one that is there.
insert into token (id, name, hash, role, made_by, created_at, expires_at)
select $1::uuid, $2::text, $3::bytea, $4::text, $5::text, $6::timestamptz, $7::timestamptz
where not exists (
    select 1
    from token
    where name = $2
        and revoked_at is null
        and id <> $1
)
on conflict (id) do update set id = excluded.id
returning id, name, role, made_by, created_at, expires_at, used_at, revoked_at
