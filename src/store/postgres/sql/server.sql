-- What decides whether a commit is durable here.
select
    current_setting('server_version_num')::integer as version,
    current_setting('server_version') as version_text,
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('synchronous_standby_names') as synchronous_standby_names,
    pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as is_read_only
