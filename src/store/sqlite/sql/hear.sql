-- A source said something: when, and after how long a silence, of which the longest of each day counts.
insert into rhythm (source, day, last_at, longest_gap_us)
select ?1, ?2, ?3, max(0, min(?4, coalesce(?3 - max(last_at), 0)))
from rhythm
where source = ?1
on conflict (source, day) do update
set last_at = max(rhythm.last_at, excluded.last_at),
    longest_gap_us = max(rhythm.longest_gap_us, excluded.longest_gap_us)
