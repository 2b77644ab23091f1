/* libpq in pipeline mode: batches, an error in the middle of one, prepared statements, COPY, a cancel.
 *
 * Its argument is where to connect. It cancels when a line comes in. */

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

static PGconn *conn;

static void check(int ok)
{
    if (!ok) {
        fprintf(stderr, "%s", PQerrorMessage(conn));
        exit(1);
    }
}

static void quiet(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

static void ask(const char *sql, const char *value)
{
    const char *values[] = {value};
    check(PQsendQueryParams(conn, sql, value ? 1 : 0, NULL, values, NULL, NULL, 0));
}

/* Reads results up to the next synchronisation point. */
static void drain(void)
{
    for (;;) {
        PGresult *result = PQgetResult(conn);
        ExecStatusType status = result ? PQresultStatus(result) : PGRES_COMMAND_OK;
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC)
            return;
        check(status != PGRES_FATAL_ERROR || PQstatus(conn) == CONNECTION_OK);
    }
}

static void copy(void)
{
    PQclear(PQexec(conn, "copy t from stdin"));
    check(PQputCopyData(conn, "7\tseven\n8\teight\n", 16) == 1);
    check(PQputCopyEnd(conn, NULL) == 1);
    while (PQgetResult(conn))
        ;
    PQclear(PQexec(conn, "copy t from stdin"));
    check(PQputCopyEnd(conn, "changed my mind") == 1);
    while (PQgetResult(conn))
        ;
    PQclear(PQexec(conn, "copy t to stdout"));
    char *row;
    while (PQgetCopyData(conn, &row, 0) > 0)
        PQfreemem(row);
    while (PQgetResult(conn))
        ;
}

static void pipeline(void)
{
    check(PQenterPipelineMode(conn));
    ask("begin", NULL);
    for (int i = 0; i < 3; i++)
        ask("insert into t values ($1::int, 'piped')", i == 0 ? "1" : i == 1 ? "2" : "3");
    ask("commit", NULL);
    check(PQpipelineSync(conn));
    drain();
    check(PQsendPrepare(conn, "find", "select a, b from t where a = $1", 0, NULL));
    for (int i = 0; i < 2; i++) {
        const char *values[] = {i == 0 ? "1" : "2"};
        check(PQsendQueryPrepared(conn, "find", 1, values, NULL, NULL, 1));
    }
    check(PQsendDescribePrepared(conn, "find"));
    check(PQpipelineSync(conn));
    drain();
    /* The second one fails, the third one is skipped, the one behind the synchronisation is not. */
    ask("select 'before'", NULL);
    ask("select 1 / $1::int", "0");
    ask("select 'skipped'", NULL);
    check(PQpipelineSync(conn));
    ask("select 'behind'", NULL);
    check(PQpipelineSync(conn));
    drain();
    drain();
    check(PQexitPipelineMode(conn));
}

static void cancel(void)
{
    char error[256];
    PGcancel *cancel = PQgetCancel(conn);
    check(PQsendQuery(conn, "select pg_sleep(60)"));
    check(PQflush(conn) == 0);
    check(getchar() != EOF);
    check(PQcancel(cancel, error, sizeof error));
    while (PQgetResult(conn))
        ;
    PQfreeCancel(cancel);
}

int main(int argc, char **argv)
{
    conn = PQconnectdb(argc > 1 ? argv[1] : "");
    check(PQstatus(conn) == CONNECTION_OK);
    PQsetNoticeReceiver(conn, quiet, NULL);
    PQclear(PQexec(conn, "create temporary table t (a int primary key, b text)"));
    pipeline();
    copy();
    PQclear(PQexec(conn, "do $$ begin raise notice 'hello'; end $$"));
    cancel();
    PQfinish(conn);
    return 0;
}
