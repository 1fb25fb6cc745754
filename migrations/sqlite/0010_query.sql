-- What stood in the URL behind its path, which transforms and filters read.
alter table event add column query text;  -- as it was written, without credentials; null: there was none, or it came before this was kept
