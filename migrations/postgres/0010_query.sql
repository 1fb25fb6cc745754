-- What stood in the URL behind its path, which transforms and filters read.
alter table event add column query text;
comment on column event.query is 'The query of its URL as it was written, without credentials; null: there was none, or it came before this was kept';
