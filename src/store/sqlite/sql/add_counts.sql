-- Add to the tally, in the transaction that is counted.
update tally
set received = received + ?1,
    rejected = rejected + ?2,
    duplicates = duplicates + ?3,
    conflicts = conflicts + ?4,
    deliveries = deliveries + ?5
where slot = 0
