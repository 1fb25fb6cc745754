-- Remove what nothing can repeat any more.
delete from once
where (route, key) in (select route, key from once where until < $1 limit $2)
