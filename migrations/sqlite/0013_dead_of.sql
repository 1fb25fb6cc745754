-- The dead letters of one destination: for the look that finds them, and for whoever lists them.
create index delivery_dead_of on delivery (destination, id) where status = 'dead';
