-- Free what workers that are gone had in hand, the longest expired first.
update delivery
set status = case when n_attempts = 0 then 'pending' else 'retrying' end,
    due_at = ?1, worker = null, lease_until = null
where id in (
    select id
    from delivery
    where status = 'delivering' and lease_until <= ?1
    order by lease_until, id
    limit ?2
)
