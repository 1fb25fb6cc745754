-- A page of the audit log, newest first.
select seq, id, at, actor, role, action, target, status, detail, client, hash
from audit
where ($1::bigint is null or seq < $1)
    and ($2::text is null or actor = $2)
    and ($3::text is null or action = $3)
    and ($4::text is null or target = $4)
    and ($5::timestamptz is null or at >= $5)
    and ($6::timestamptz is null or at < $6)
order by seq desc
limit $7
