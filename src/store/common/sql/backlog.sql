-- What became due for a destination before a time and still waits, as far as that is counted.
-- The second condition on the status is the one that SQLite knows the index by.
select count(*) as n_rows, min(due_at) as oldest_due
from (
    select due_at
    from (
        select due_at
        from delivery
        where destination = $1
            and status = 'pending'
            and status in ('pending', 'retrying')
            and due_at < $2
        order by due_at
        limit $3
    ) as pending
    union all
    select due_at
    from (
        select due_at
        from delivery
        where destination = $1
            and status = 'retrying'
            and status in ('pending', 'retrying')
            and due_at < $2
        order by due_at
        limit $3
    ) as retrying
) as waiting
