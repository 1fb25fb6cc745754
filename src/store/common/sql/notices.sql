-- What was told of an issue, and is to be, newest first.
select
    notice.id as notice_id, notice.notification, notice.change, notice.changed_by as notice_by, notice.created_at,
    notice.due_at, notice.n_tries, notice.last_error, notice.sent_at
from notice
where issue_id = $1
order by id desc
limit $2
