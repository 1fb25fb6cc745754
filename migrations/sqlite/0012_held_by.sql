-- Who holds a route or a destination back: an operator, who meant it, or gatepost, which somebody is to hear of.
alter table hold add column held_by text not null default 'operator';  -- gatepost (after a 410, or many dead letters) or operator
update hold
set held_by = 'gatepost'
where reason = 'the handler answered 410 (gone)'
    or reason like '% dead letters in a row; the last one: %';
