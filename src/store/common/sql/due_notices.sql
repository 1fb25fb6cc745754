-- What is due for a notification, the oldest first, with its issue. What was not taken goes before what came later, for a few tries.
select
    notice.id as notice_id, notice.notification, notice.change, notice.changed_by as notice_by, notice.created_at,
    notice.due_at, notice.n_tries, notice.last_error, notice.sent_at,
    issue.id, issue.key, issue.rule, issue.severity, issue.source, issue.destination, issue.route, issue.cause, issue.state,
    issue.summary, issue.count, issue.n_opened, issue.first_seen_at, issue.last_seen_at, issue.holds_at, issue.changed_at,
    issue.changed_by, issue.reason
from notice
join issue on issue.id = notice.issue_id
where notice.notification = $1
    and notice.due_at <= $2
    and not exists (
        select 1
        from notice as earlier
        where earlier.notification = $1
            and earlier.due_at > $2
            and earlier.id < notice.id
            and earlier.n_tries <= 3
    )
order by notice.id
limit $3
