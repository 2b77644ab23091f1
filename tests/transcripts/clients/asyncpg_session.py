"""asyncpg: binary values, prepared statements, cursors, COPY. Its argument is where to connect; it
cancels when a line comes in."""

import asyncio
import sys

import asyncpg


async def main(dsn):
    connection = await asyncpg.connect(dsn)
    connection.add_log_listener(lambda *_: None)
    await connection.execute("create temporary table t (a int primary key, b text)")
    await connection.execute("do $$ begin raise notice 'hello'; end $$")
    await connection.execute("select 1; select 2")
    await connection.fetch("select $1::int + $2::int", 1, 2)
    await connection.executemany("insert into t values ($1, $2)", [(1, "x"), (2, None)])
    try:
        await connection.executemany("insert into t values ($1, $2)", [(3, "y"), (1, "z"), (4, "a")])
    except asyncpg.UniqueViolationError:
        pass
    statement = await connection.prepare("select b from t where a = $1")
    for key in (1, 2, 3):
        await statement.fetchval(key)
    try:
        async with connection.transaction():
            async for _ in connection.cursor("select * from generate_series(1, 5)", prefetch=2):
                pass
            async with connection.transaction():
                await connection.execute("select 1/0")
    except asyncpg.DivisionByZeroError:
        pass
    await connection.copy_records_to_table("t", records=[(7, "seven"), (8, "eight")])
    try:
        await connection.copy_to_table("t", source=lines(), format="text")
    except asyncpg.PostgresError:
        pass
    await connection.copy_from_query("select * from t", output=nowhere)
    sleep = asyncio.create_task(connection.execute("select pg_sleep(60)"))
    await asyncio.to_thread(sys.stdin.readline)
    sleep.cancel()
    try:
        await sleep
    except asyncio.CancelledError:
        pass
    await connection.fetchval("select 'still here'")
    await connection.close()


async def lines():
    yield b"not a number\n"


async def nowhere(_):
    pass


asyncio.run(main(sys.argv[1]))
