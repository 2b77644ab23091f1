//! Sessions with a real PostgreSQL through the simulated Session Manager.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::sync::Arc;

use pgferry_simulators::{Aws, ManagedInstance, Role, SessionManager, free_port};
use rustix::process::Signal;
use support::PATIENCE;
use support::client::Wire;
use support::pgferry::{ADMIN, Pgferry};
use support::plugin::library;
use support::shared::Shared;
use support::target::Target;
use support::tool::limited;
use support::world::{Way, World};

/// A database that the world shares, and an AWS of the test's own with a node in front of it.
struct Stage {
    world: Arc<World>,
    aws: Aws,
    sessions: SessionManager,
}

impl Stage {
    fn new() -> Self {
        Self::with(ManagedInstance::new(NODE))
    }

    fn with(node: ManagedInstance) -> Self {
        static WORLD: Shared<World> = Shared::new();
        let world = WORLD.get(World::start);
        let aws = Aws::start();
        aws.add_managed_instance(node.name("bastion"));
        let sessions = aws.session_manager();
        Self { world, aws, sessions }
    }

    fn target(&self) -> Target {
        let mut target = Target::new("db", &self.world, Way::Direct, Role::Scram);
        "\"node\"".clone_into(&mut target.transport);
        target
    }

    fn run(&self, target: &Target, more: &str) -> Pgferry {
        let transport = format!("[transports.node]\nkind = \"ssm\"\nname = \"bastion\"\n{more}");
        Pgferry::start_in(&self.aws, &format!("{ADMIN}{target}\n{transport}"))
    }

    fn all_ended(&self) -> bool {
        self.sessions.wait_until(PATIENCE, |sessions| {
            !sessions.is_empty() && sessions.iter().all(pgferry_simulators::SessionRecord::ended)
        })
    }
}

#[test]
fn psql_reaches_the_database_through_a_managed_node() {
    let stage = Stage::new();
    let mut pgferry = stage.run(&stage.target(), "reason = \"a test\"\n");
    let mut psql = stage.world.psql(&pgferry, "db");
    psql.args(["-c", "select 42", "-c", "select length(repeat('x', 200000))"]);
    let output = limited(&psql).output().expect("psql starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n200000\n", "{}", pgferry.log().text());
    let session = &stage.sessions.sessions()[0];
    assert_eq!((session.target.as_str(), session.reason.as_deref()), (NODE, Some("a test")));
    pgferry.process().signal(Signal::TERM).expect("it takes the signal");
    assert!(stage.all_ended(), "{:?}", stage.sessions.sessions());
    assert_eq!(stage.sessions.breaches(), []);
}

#[test]
fn a_session_of_postgresql_does_not_notice_that_the_data_channel_was_closed() {
    let stage = Stage::new();
    let pgferry = stage.run(&stage.target(), "");
    let mut wire = Wire::open(pgferry.port("db")).expect("a session");
    let pid = wire.query("select pg_backend_pid()").expect("an answer");
    stage.sessions.close_websockets(1000, "Bye");
    assert_eq!(wire.query("select pg_backend_pid()"), Ok(pid.clone()));
    stage.sessions.reset_websockets();
    assert_eq!(wire.query("select pg_backend_pid()"), Ok(pid), "{}", pgferry.log().text());
    assert_eq!(stage.sessions.breaches(), []);
}

#[test]
fn a_cancel_request_reaches_the_query_over_the_same_session() {
    let stage = Stage::new();
    let pgferry = stage.run(&stage.target(), "open_ahead = false\n");
    let (mut wire, key) = Wire::open_with_key(pgferry.port("db"));
    wire.ask("do $$ begin raise notice 'running'; perform pg_sleep(3600); end $$");
    while wire.next().unwrap().unwrap().tag != b'N' {}
    Wire::cancel(pgferry.port("db"), &key);
    assert_eq!(wire.fault().code, "57014");
    assert_eq!(stage.sessions.sessions().len(), 1);
}

#[test]
fn a_database_that_refuses_is_an_error_that_names_it_and_the_way_out() {
    let stage = Stage::new();
    let mut target = stage.target();
    let port = free_port();
    target.database = target
        .database
        .replace(&format!("port = {}", stage.world.postgres.port()), &format!("port = {port}"));
    let pgferry = stage.run(&target, "");
    let fault = Wire::open(pgferry.port("db")).map(drop).expect_err("no session");
    assert_eq!(fault.code, "08001", "{fault:?}");
    assert!(fault.message.contains("transport node (ssm "), "{fault:?}");
    assert!(fault.message.contains(&format!("could not connect to 127.0.0.1:{port}")), "{fault:?}");
    assert!(fault.message.contains("security group"), "{fault:?}");
}

/// The error of a session that does not begin, which has to name the node's way, host and port.
fn fault_on_the_way_to(stage: &Stage, target: &Target, at: &str, codes: &[&str]) -> String {
    let pgferry = stage.run(target, "[limits]\ntcp = \"500ms\"\n");
    let fault = Wire::open(pgferry.port("db")).map(drop).expect_err("no session");
    assert!(codes.contains(&fault.code.as_str()), "{fault:?}");
    assert!(fault.message.contains("transport node (ssm "), "{fault:?}");
    assert!(fault.message.contains(at), "{fault:?}");
    format!("{} {}", fault.message, fault.hint.unwrap_or_default())
}

/// A target with its database at another address.
fn target_at(stage: &Stage, at: &str) -> Target {
    let mut target = stage.target();
    let address = stage.world.postgres.address().expect("a TCP listener");
    let (host, port) = at.rsplit_once(':').expect("a port");
    target.database = target
        .database
        .replace(&format!("port = {}", stage.world.postgres.port()), &format!("port = {port}"))
        .replace(&format!("address = \"{address}\""), &format!("address = \"{host}\""));
    target
}

#[test]
fn a_host_that_the_node_does_not_know_is_an_error_that_names_it_with_its_port_and_the_cause() {
    let stage = Stage::new();
    let at = "nowhere.internal:6543";
    let said = fault_on_the_way_to(&stage, &target_at(&stage, at), at, &["08001"]);
    assert!(said.contains("does not know host nowhere.internal"), "{said}");
    assert!(said.contains("no such host"), "{said}");
}

#[test]
fn an_address_that_agents_must_not_forward_to_is_an_error_that_names_it_with_its_port() {
    let stage = Stage::new();
    let at = "169.254.169.254:6543";
    // The agent may say so before the path counts as open, or after.
    let said = fault_on_the_way_to(&stage, &target_at(&stage, at), at, &["28000", "08001"]);
    assert!(said.contains("is forbidden"), "{said}");
}

#[test]
fn a_database_that_gives_no_sign_is_an_error_that_names_it_with_its_port_and_what_to_check() {
    let stage = Stage::new();
    stage.sessions.hold_dials(true);
    let at = stage.world.postgres.address().expect("a TCP listener").to_string();
    let said = fault_on_the_way_to(&stage, &stage.target(), &at, &["08001"]);
    assert!(said.contains("no answer"), "{said}");
    assert!(said.contains("security group"), "{said}");
}

#[test]
fn an_agent_that_is_too_old_is_an_error_that_names_the_database_and_how_to_update_it() {
    for version in ["3.1.1300.0", "2.3.600.0"] {
        let stage = Stage::with(ManagedInstance::new(NODE).agent_version(version));
        let at = stage.world.postgres.address().expect("a TCP listener").to_string();
        let said = fault_on_the_way_to(&stage, &stage.target(), &at, &["28000"]);
        assert!(said.contains("AWS-UpdateSSMAgent"), "{said}");
    }
}

#[test]
fn a_session_that_is_closed_with_a_text_ends_its_clients_with_host_port_and_the_text() {
    let stage = Stage::new();
    let pgferry = stage.run(&stage.target(), "open_ahead = false\n");
    let mut wire = Wire::open(pgferry.port("db")).expect("a session");
    wire.query("select 1").expect("an answer");
    stage.sessions.fail_session(&stage.sessions.sessions()[0].id, "Terminated by jo");
    let fault = wire.fault();
    assert_eq!(fault.code, "08006", "{fault:?}");
    let at = stage.world.postgres.address().expect("a TCP listener").to_string();
    assert!(fault.message.contains(&at), "{fault:?}");
    assert!(fault.message.contains("Terminated by jo"), "{fault:?}");
}

#[test]
fn a_session_that_is_over_ends_its_clients_with_the_reason() {
    let stage = Stage::new();
    let pgferry = stage.run(&stage.target(), "open_ahead = false\n");
    let mut wire = Wire::open(pgferry.port("db")).expect("a session");
    wire.query("select 1").expect("an answer");
    stage.sessions.expire_session(&stage.sessions.sessions()[0].id);
    let fault = wire.fault();
    assert_eq!(fault.code, "08006", "{fault:?}");
    assert!(fault.message.contains("keep_alive"), "{fault:?}");
    let mut next = Wire::open(pgferry.port("db")).expect("a new session");
    next.query("select 1").expect("an answer");
}

#[test]
fn the_library_loaded_by_its_path_does_what_the_linked_in_one_does_and_shows_its_figures() {
    let stage = Stage::new();
    let path = format!("path = {:?}\nopen_ahead = false\n", library("ssm"));
    let mut pgferry = stage.run(&stage.target(), &path);
    let mut wire = Wire::open(pgferry.port("db")).expect("a session");
    stage.sessions.close_websockets(1000, "Bye");
    wire.query("select repeat('x', 100000)").expect("an answer");
    let figure = |name: &str, labels: &str| {
        pgferry.metric(&format!("pgferry_plugin_ssm_{name}{{instance=\"node\"{labels}}}"))
    };
    assert_eq!(figure("sessions", ""), Some(1.0));
    assert_eq!(figure("session_starts_total", ",outcome=\"ok\""), Some(1.0));
    assert_eq!(figure("session_starts_total", ",outcome=\"denied\""), Some(0.0));
    assert_eq!(figure("websocket_losses_total", ""), Some(1.0));
    assert_eq!(figure("session_resumes_total", ",outcome=\"ok\""), Some(1.0));
    assert_eq!(figure("interruption_seconds_count", ""), Some(1.0));
    assert!(figure("bytes_total", ",direction=\"rx\"").is_some_and(|bytes| bytes > 50_000.0));
    let sha256 = "pgferry_plugin_info{name=\"ssm\",version=\"0.1.0\",abi=\"1.0\",sha256=\"";
    let (_, metrics) = pgferry.admin("/metrics");
    let info = metrics.lines().find_map(|line| line.strip_prefix(sha256));
    assert!(info.is_some_and(|rest| !rest.starts_with('"')), "it was not loaded: {metrics}");
    pgferry.process().signal(Signal::TERM).expect("it takes the signal");
    assert!(stage.all_ended(), "{:?}", stage.sessions.sessions());
    assert_eq!(stage.sessions.breaches(), []);
}

#[test]
fn a_permission_that_is_missing_is_named() {
    let stage = Stage::new();
    stage.aws.allow_only(&stage.aws.credentials().access_key_id, &["sts:*", "ssm:Describe*"]);
    let pgferry = stage.run(&stage.target(), "");
    let fault = Wire::open(pgferry.port("db")).map(drop).expect_err("no session");
    assert_eq!(fault.code, "28000", "{fault:?}");
    assert!(fault.message.contains("may not ssm:StartSession"), "{fault:?}");
    assert!(fault.hint.unwrap_or_default().contains("allow ssm:StartSession"));
}

const NODE: &str = "i-0123456789abcdef0";
