-- What a route does from now on.
insert into program (id, route, since, name, code)
values ($1, $2, $3, $4, $5)
