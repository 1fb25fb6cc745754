-- A token, unless another that is not revoked has its name. Made again after an answer that was lost, it is the one that is there.
insert into token (id, name, hash, role, made_by, created_at, expires_at)
select ?1, ?2, ?3, ?4, ?5, ?6, ?7
where not exists (
    select 1
    from token
    where name = ?2
        and revoked_at is null
        and id <> ?1
)
on conflict (id) do update set id = excluded.id
returning id, name, role, made_by, created_at, expires_at, used_at, revoked_at
