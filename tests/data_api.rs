//! The program in front of a simulated Data API: no path leads to the database but HTTPS.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

mod support;

use std::sync::Arc;

use pgferry_simulators::{Aws, Cluster, Role};
use support::client::Wire;
use support::pgferry::Pgferry;
use support::plugin::library;
use support::shared::Shared;
use support::target::Target;
use support::tool::limited;
use support::world::{Way, World};

const SECRET: &str = "rds!cluster-demo";

/// A database that the world shares, and an AWS of the test's own whose Data API leads to it.
struct Stage {
    world: Arc<World>,
    aws: Aws,
    secret: String,
}

impl Stage {
    fn new() -> Self {
        static WORLD: Shared<World> = Shared::new();
        let world = WORLD.get(World::start);
        let aws = Aws::start();
        let login = serde_json::json!({
            "username": Role::Scram.name(), "password": world.postgres.password(Role::Scram),
        });
        let secret = aws.add_secret(SECRET, &login.to_string());
        aws.add_cluster(Cluster::new("demo").data_api().managed_secret(&secret));
        aws.data_api().attach("demo", &world.postgres);
        Self { world, aws, secret }
    }

    fn target(&self) -> Target {
        let mut target = Target::new("db", &self.world, Way::Direct, Role::Scram);
        "{ cluster = \"demo\" }".clone_into(&mut target.database);
        "{ kind = \"data-api\" }".clone_into(&mut target.transport);
        "{ kind = \"secrets-manager\" }".clone_into(&mut target.credential);
        target
    }

    fn run(&self, target: &Target) -> Pgferry {
        let config = format!("[admin]\nlisten = \"127.0.0.1:0\"\n{target}");
        Pgferry::start_with(&config, |command| {
            command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
            command.envs(self.aws.envs());
        })
    }
}

#[test]
fn psql_works_with_nothing_but_the_name_of_the_cluster() {
    let stage = Stage::new();
    let pgferry = stage.run(&stage.target());
    let mut psql = stage.world.psql(&pgferry, "db");
    psql.args(["-c", "select 42", "-c", "select current_user", "-c", "\\conninfo"]);
    let output = limited(&psql).output().expect("psql starts");
    let shown = String::from_utf8_lossy(&output.stdout);
    let expected = format!("42\n{}\nYou are connected", Role::Scram.name());
    assert!(shown.starts_with(&expected), "{shown} {output:?} {}", pgferry.log().text());
    let fetched = stage.aws.count("secretsmanager:GetSecretValue");
    assert_eq!(fetched, 0, "the service opens the secret, and nobody else");
    assert!(!pgferry.log().text().contains(stage.world.postgres.password(Role::Scram)));
}

#[test]
fn arns_of_cluster_and_secret_need_no_permission_at_rds() {
    let stage = Stage::new();
    let mut target = stage.target();
    let (region, account) = (stage.aws.region(), stage.aws.account());
    target.database = format!("{{ cluster = \"arn:aws:rds:{region}:{account}:cluster:demo\" }}");
    target.credential = format!("{{ kind = \"secrets-manager\", secret = \"{}\" }}", stage.secret);
    let pgferry = stage.run(&target);
    let mut wire = Wire::open(pgferry.port("db")).expect("a session");
    assert_eq!(wire.query("select 'there'"), Ok(vec!["there".to_owned()]));
    assert_eq!(stage.aws.count("rds:DescribeDBClusters"), 0);
}

#[test]
fn the_library_loaded_by_its_path_does_what_the_linked_in_one_does() {
    let stage = Stage::new();
    let mut target = stage.target();
    target.transport = format!("{{ kind = \"data-api\", path = {:?} }}", library("data_api"));
    let pgferry = stage.run(&target);
    let mut wire = Wire::open(pgferry.port("db")).expect("a session");
    assert_eq!(wire.query("select 40 + 2"), Ok(vec!["42".to_owned()]));
}

#[test]
fn a_data_api_that_is_off_is_an_error_with_the_command_that_turns_it_on() {
    let stage = Stage::new();
    stage.aws.replace_cluster(Cluster::new("demo").managed_secret(&stage.secret));
    let pgferry = stage.run(&stage.target());
    let fault = Wire::open(pgferry.port("db")).map(drop).expect_err("no session");
    assert!(fault.message.contains("the Data API is off on cluster demo"), "{fault:?}");
    stage.aws.replace_cluster(Cluster::new("demo").data_api().managed_secret(&stage.secret));
    Wire::open(pgferry.port("db")).expect("it is on");
}

#[test]
fn a_cancel_request_ends_the_statement_in_the_database() {
    let stage = Stage::new();
    let pgferry = stage.run(&stage.target());
    let (mut wire, key) = Wire::open_with_key(pgferry.port("db"));
    wire.ask("select pg_sleep(3600) as a_query_to_cancel");
    let running = "do $$ begin while not exists (select from pg_stat_activity where state = 'active' \
                   and pid <> pg_backend_pid() and query like '%a_query_to_cancel%') loop perform \
                   pg_sleep(0.01); perform pg_stat_clear_snapshot(); end loop; end $$";
    stage.world.postgres.query(running).expect("the statement is under way");
    Wire::cancel(pgferry.port("db"), &key);
    assert_eq!(wire.fault().code, "57014");
    let left = "select count(*) from pg_stat_activity where state = 'active' and query like \
                '%a_query_to_cancel%' and pid <> pg_backend_pid()";
    assert_eq!(stage.world.postgres.query(left).expect("a count"), "0");
}
