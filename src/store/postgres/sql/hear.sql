-- A source said something: when, and after how long a silence, of which the longest of each day counts.
insert into rhythm (source, day, last_at, longest_gap_us)
select
    $1::text, $2::integer, $3::timestamptz,
    greatest(0, least($4::bigint, coalesce((extract(epoch from $3 - max(last_at)) * 1000000)::bigint, 0)))
from rhythm
where source = $1
on conflict (source, day) do update
set last_at = greatest(rhythm.last_at, excluded.last_at),
    longest_gap_us = greatest(rhythm.longest_gap_us, excluded.longest_gap_us)
