//! A bastion that no network leads to: ssh on top of ssm, with a real sshd behind the simulated agent.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;

use pgferry_simulators::{Aws, Key, ManagedInstance, Role, SessionManager, free_port};
use support::client::Wire;
use support::pgferry::Pgferry;
use support::shared::Shared;
use support::target::Target;
use support::world::{Way, World};

/// A database and a bastion that the tests share, and an AWS of the test's own in which the bastion is a node.
struct Stage {
    world: Arc<World>,
    sessions: SessionManager,
    aws: Aws,
}

impl Stage {
    fn new() -> Self {
        static WORLD: Shared<World> = Shared::new();
        let world = WORLD.get(World::start);
        let aws = Aws::start();
        aws.add_managed_instance(ManagedInstance::new(NODE).name("bastion"));
        let sessions = aws.session_manager();
        Self { world, sessions, aws }
    }

    /// What somebody who has connected to the node before has on file.
    fn known_hosts(&self) -> PathBuf {
        let lines = self.world.sshd.known_hosts().expect("its host keys");
        let lines = lines.replace("[127.0.0.1]", &format!("[{NODE}]"));
        self.world.secret_file("known_nodes", lines.trim_end())
    }

    /// `[transports.bastion]`, which lies on `[transports.node]`.
    fn ssh(&self, port: u16) -> String {
        let sshd = &self.world.sshd;
        format!(
            "[transports.bastion]\nkind = \"ssh\"\nhost = \"{NODE}\"\nport = {port}\nuser = \"{}\"\n\
             key_file = {:?}\nknown_hosts_file = {:?}\nssh_config = false\nvia = \"node\"\n",
            sshd.user(),
            sshd.key_file(Key::Ed25519),
            self.known_hosts()
        )
    }

    fn run(&self, bastion: &str, node: &str) -> Pgferry {
        let mut target = Target::new("db", &self.world, Way::Direct, Role::Scram);
        "\"bastion\"".clone_into(&mut target.transport);
        let node = format!("[transports.node]\nkind = \"ssm\"\ninstance = \"{NODE}\"\n{node}\n");
        let config = format!("[admin]\nlisten = \"127.0.0.1:0\"\n{target}\n{bastion}\n{node}");
        Pgferry::start_with(&config, |command| {
            command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
            command.envs(self.aws.envs());
        })
    }
}

#[test]
fn all_sessions_share_one_ssm_session_to_the_bastions_ssh_server() {
    let stage = Stage::new();
    let port = stage.world.sshd.port();
    let pgferry = stage.run(&stage.ssh(port), SSH_SESSION);
    let _first = Wire::serving(&pgferry, "db");
    let mut second = Wire::serving(&pgferry, "db");
    assert_eq!(second.query("select length(repeat('x', 200000))"), Ok(vec!["200000".to_owned()]));
    let sessions = stage.sessions.sessions();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    let session = &sessions[0];
    assert_eq!((session.document.as_str(), session.port), ("AWS-StartSSHSession", port));
    assert_eq!(stage.sessions.breaches(), []);
}

#[test]
fn the_default_document_reaches_the_node_itself_by_its_own_name() {
    let stage = Stage::new();
    let pgferry = stage.run(&stage.ssh(stage.world.sshd.port()), "open_ahead = false");
    Wire::serving(&pgferry, "db");
    let session = &stage.sessions.sessions()[0];
    assert_eq!(session.document, "AWS-StartPortForwardingSessionToRemoteHost");
    assert_eq!(session.host.as_deref(), Some("localhost"));
    assert_eq!(stage.sessions.breaches(), []);
}

#[test]
fn sessions_do_not_notice_that_the_data_channel_beneath_their_bastion_was_cut() {
    let stage = Stage::new();
    let pgferry = stage.run(&stage.ssh(stage.world.sshd.port()), SSH_SESSION);
    let mut wire = Wire::serving(&pgferry, "db");
    let pid = wire.query("select pg_backend_pid()").expect("an answer");
    stage.sessions.close_websockets(1000, "Bye");
    assert_eq!(wire.query("select pg_backend_pid()"), Ok(pid.clone()));
    stage.sessions.reset_websockets();
    assert_eq!(wire.query("select pg_backend_pid()"), Ok(pid), "{}", pgferry.log().text());
    assert_eq!(stage.sessions.breaches(), []);
}

#[test]
fn a_session_whose_ssm_session_ends_is_told_so_and_the_next_one_has_another() {
    let stage = Stage::new();
    let pgferry = stage.run(&stage.ssh(stage.world.sshd.port()), SSH_SESSION);
    let mut wire = Wire::serving(&pgferry, "db");
    let id = stage.sessions.sessions()[0].id.clone();
    stage.sessions.fail_session(&id, "Ended by an administrator");
    let fault = wire.fault();
    let layers = ["transport bastion (ssh ", ") via node (ssm ", "; beneath it: transport node"];
    fault.assert("db", "08006", &layers, "");
    assert!(fault.message.contains("Ended by an administrator"), "{fault:?}");
    Wire::serving(&pgferry, "db");
    assert_eq!(stage.sessions.sessions().len(), 2);
}

#[test]
fn a_node_without_an_ssh_server_is_told_from_a_database_that_is_down() {
    let stage = Stage::new();
    let port = free_port();
    for document in [SSH_SESSION, "open_ahead = false"] {
        let pgferry = stage.run(&stage.ssh(port), document);
        let fault = Wire::open(pgferry.port("db")).map(drop).expect_err("no session");
        assert_eq!(fault.code, "08001", "{fault:?}");
        let words = format!("could not connect to localhost:{port}: check the port");
        assert!(fault.message.contains(&words), "{document}: {fault:?}");
    }
}

const NODE: &str = "i-0123456789abcdef0";
const SSH_SESSION: &str = "document = \"AWS-StartSSHSession\"";
