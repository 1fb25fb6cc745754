-- Take a chore's lease, or hold on to it. No row changed: another process has it.
insert into chore_lease (name, worker, until)
values ($1, $2, $4)
on conflict (name) do update
set worker = excluded.worker, until = excluded.until
where chore_lease.worker = excluded.worker
    or chore_lease.until <= $3
