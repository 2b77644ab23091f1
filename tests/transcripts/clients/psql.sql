-- What a person types, and what a script holds.
select 1 as one, 'two' as two, null as three;
select 1\; select 2 as second;
create temporary table t (a int primary key, b text);
insert into t values (1, 'x'), (2, null);
\copy t from stdin
3	y
4	\N
\.
\copy t to stdout
\copy t from stdin
not a number
\.
do $$ begin raise notice 'hello'; end $$;
begin;
update t set b = 'z';
select 1/0;
select 1;
rollback;
prepare add(int, int) as select $1 + $2;
execute add(1, 2);
execute add(3, 4);
select a, b from t \gdesc
listen news;
notify news, 'told';
set timezone to 'Europe/Berlin';
;
select pg_sleep(60);
