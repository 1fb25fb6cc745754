-- Takes the session's locks for the transaction as well, which keeps them when the session lets them go.
select pg_advisory_xact_lock((classid::bigint << 32) | objid::bigint)
from pg_locks
where locktype = 'advisory' and pid = pg_backend_pid() and objsubid = 1
