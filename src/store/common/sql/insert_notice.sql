-- A change of an issue that is to be told.
insert into notice (id, issue_id, notification, change, changed_by, created_at, due_at)
values ($1, $2, $3, $4, $5, $6, $6)
