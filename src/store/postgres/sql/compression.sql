-- How bodies are compressed; the column exists since Postgres 14, hence the way round by JSON.
select case to_jsonb(pg_attribute) ->> 'attcompression' when 'l' then 'lz4' else 'pglz' end
from pg_attribute
where attrelid = to_regclass('event') and attname = 'body'
union all
select 'not migrated'
where to_regclass('event') is null
