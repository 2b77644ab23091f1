//! What the child finds in its environment.

use crate::stage::Stage;
use crate::support::tool::succeed;

#[test]
fn tools_find_the_database_in_their_environment() {
    let stage = Stage::get();
    let create = ["-X", "-q", "-c", "create table exec_dumped (a int)"];
    succeed(&stage.command("psql", "dev", &create));
    let dump = succeed(&stage.exec("dev", &["pg_dump", "--schema-only"]));
    assert!(dump.contains("CREATE TABLE public.exec_dumped"), "{dump}");
    let who = "select current_user || ' in ' || current_database()";
    let rows = succeed(&stage.command("psql", "dev", &["-X", "-A", "-t", "-c", who]));
    assert_eq!(rows, "app_scram in app\n");
    let by_url = ["sh", "-c", "exec psql -X -A -t -c \"$0\" \"$DATABASE_URL\"", who];
    assert_eq!(succeed(&stage.exec("dev", &by_url)), "app_scram in app\n");
}

#[test]
fn the_environment_leads_to_the_listener_and_nowhere_else() {
    let stage = Stage::get();
    let query = "select current_setting('statement_timeout') || ' ' || \
                 current_setting('application_name')";
    let mut psql = stage.command("psql", "dev", &["-X", "-A", "-t", "-c", query]);
    // Each of these alone would lead elsewhere, or end in an error.
    psql.envs([("PGHOST", "nowhere.example"), ("PGHOSTADDR", "127.0.0.2"), ("PGPORT", "1")]);
    psql.envs([("PGUSER", "nobody"), ("PGDATABASE", "none"), ("PGPASSWORD", "wrong")]);
    psql.envs([("PGSERVICE", "none"), ("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "/none")]);
    psql.envs([("PGCHANNELBINDING", "require"), ("PGREQUIREAUTH", "none")]);
    psql.envs([("PGGSSENCMODE", "require"), ("PGTARGETSESSIONATTRS", "standby")]);
    psql.envs([("PGSSLNEGOTIATION", "direct"), ("PGSSLMINPROTOCOLVERSION", "none")]);
    // These are the user's business.
    psql.envs([("PGOPTIONS", "-c statement_timeout=4711"), ("PGAPPNAME", "mine")]);
    assert_eq!(succeed(&psql), "4711ms mine\n");
}

#[test]
fn a_target_without_a_database_name_leaves_the_choice_to_the_environment() {
    let stage = Stage::get();
    let query = ["-X", "-A", "-t", "-c", "select current_database()"];
    let mut psql = stage.command("psql", "nameless", &query);
    assert_eq!(succeed(psql.env("PGDATABASE", "postgres")), "postgres\n");
    let mut child = stage.waiting("nameless");
    let environment = child.environment();
    // What libpq would choose without pgferry.
    assert_eq!(environment["PGDATABASE"], "app_scram");
    assert!(environment["DATABASE_URL"].contains("/app_scram?"), "{environment:?}");
    assert_eq!(child.end().0, Some(1));
}
