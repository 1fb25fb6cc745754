-- How each source was heard of lately.
select source, max(last_at) as last_at, max(longest_gap_us) as longest_gap_us, min(day) as first_day
from rhythm
where day > $1
group by source
order by source
