-- Rejected requests and a tally, in one transaction. A row that an earlier try stored is left alone.
with new_request as (
    insert into rejected_request (id, source, cause, explanation, received_at, method, target, client, headers, body, size)
    select *
    from unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[],
        $9::bytea[], $10::bytea[], $11::bigint[]
    )
    on conflict do nothing
)
insert into tally (slot, received, rejected, duplicates, conflicts)
values ($12, $13, $14, $15, $16)
on conflict (slot) do update
set received = tally.received + excluded.received,
    rejected = tally.rejected + excluded.rejected,
    duplicates = tally.duplicates + excluded.duplicates,
    conflicts = tally.conflicts + excluded.conflicts
