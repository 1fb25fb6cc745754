-- A page of the audit log, newest first.
select seq, id, at, actor, role, action, target, status, detail, client, hash
from audit
where (?1 is null or seq < ?1)
    and (?2 is null or actor = ?2)
    and (?3 is null or action = ?3)
    and (?4 is null or target = ?4)
    and (?5 is null or at >= ?5)
    and (?6 is null or at < ?6)
order by seq desc
limit ?7
