-- What waits for longer than it may, at a destination that is left alone: dead without another attempt. Not what an operator
-- wants tried again.
update delivery
set status = 'dead', due_at = null,
    last_error = case when last_error is null then ?3 else last_error || '; ' || ?3 end
where id in (
    select id
    from delivery
    where destination = ?1
        and status in ('pending', 'retrying')
        and not is_manual
        and created_at <= ?2
    order by due_at, id
    limit ?4
)
