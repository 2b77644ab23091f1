//! EC2 Instance Connect: bastions that take no key but one that was pushed to them a moment ago.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pgferry_simulators::{Aws, ManagedInstance, Role, Sshd};
use support::client::{Fault, Wire};
use support::pgferry::Pgferry;
use support::shared::Shared;
use support::target::Target;
use support::world::{Way, World};

/// A database that the tests share, and an AWS of the test's own with an instance that has an SSH server.
struct Stage {
    world: Arc<World>,
    sshd: Sshd,
    aws: Aws,
}

impl Stage {
    fn new() -> Self {
        static WORLD: Shared<World> = Shared::new();
        let world = WORLD.get(World::start);
        let sshd = Sshd::builder().keys_by_instance_connect().start();
        let aws = Aws::start();
        aws.add_managed_instance(ManagedInstance::new(NODE).name("bastion"));
        aws.serve_instance_connect(NODE, &sshd);
        Self { world, sshd, aws }
    }

    /// The host keys of whoever has connected before, to the instance or to its address.
    fn known_hosts(&self) -> PathBuf {
        let lines = self.sshd.known_hosts().expect("its host keys");
        let both = lines.clone() + &lines.replace("[127.0.0.1]", &format!("[{NODE}]"));
        self.world.secret_file(&format!("known_{}", self.sshd.port()), both.trim_end())
    }

    /// `[transports.bastion]`, with the rest of its keys.
    fn bastion(&self, more: &str) -> String {
        format!(
            "[transports.bastion]\nkind = \"ssh\"\nport = {}\nknown_hosts_file = {:?}\n\
             ssh_config = false\nkey = \"instance-connect\"\n{more}\n",
            self.sshd.port(),
            self.known_hosts()
        )
    }

    /// At its address, which is not the instance's name.
    fn directly(&self, instance: &str, user: &str) -> String {
        self.bastion(&format!(
            "host = \"127.0.0.1\"\ninstance = {instance:?}\nuser = {user:?}\nsessions_per_connection = 1"
        ))
    }

    fn run(&self, transports: &str) -> Pgferry {
        let mut target = Target::new("db", &self.world, Way::Direct, Role::Scram);
        "\"bastion\"".clone_into(&mut target.transport);
        let config = format!("[admin]\nlisten = \"127.0.0.1:0\"\n{target}\n{transports}");
        Pgferry::start_with(&config, |command| {
            command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN");
            command.envs(self.aws.envs());
        })
    }

    fn refused(&self, transports: &str) -> Fault {
        let pgferry = self.run(transports);
        Wire::refused(pgferry.port("db"))
    }

    fn keys(&self) -> Vec<String> {
        self.aws.pushed_keys(NODE, self.sshd.user())
    }
}

#[test]
fn a_bastion_without_an_open_port_or_a_key_of_ones_own_is_reached() {
    let stage = Stage::new();
    let bastion = stage
        .bastion(&format!("host = \"{NODE}\"\nuser = \"{}\"\nvia = \"node\"", stage.sshd.user()));
    let node = format!(
        "[transports.node]\nkind = \"ssm\"\ninstance = \"{NODE}\"\n\
         document = \"AWS-StartSSHSession\"\n"
    );
    let pgferry = stage.run(&(bastion + &node));
    let _one = Wire::serving(&pgferry, "db");
    let _two = Wire::serving(&pgferry, "db");
    assert_eq!(stage.aws.count(PUSH), 1);
    assert_eq!(stage.aws.count("ssm:StartSession"), 1);
    assert_eq!(stage.aws.session_manager().breaches(), []);
    let key = stage.keys().pop().expect("a key");
    assert!(key.starts_with("ssh-ed25519 "), "{key}");
    assert!(!pgferry.log().text().contains(key.split(' ').nth(1).expect("its body")));
}

#[test]
fn every_login_has_a_key_of_its_own_because_the_instance_forgets_them() {
    let stage = Stage::new();
    let pgferry = stage.run(&stage.directly(NODE, stage.sshd.user()));
    let mut first = Wire::serving(&pgferry, "db");
    let before = stage.keys();
    stage.aws.clock().advance(Duration::from_secs(61));
    assert_eq!(stage.keys(), Vec::<String>::new());
    Wire::serving(&pgferry, "db");
    assert_eq!(stage.aws.count(PUSH), 2);
    assert_ne!(stage.keys(), before);
    assert_eq!(first.query("select 1"), Ok(vec!["1".to_owned()]), "the first lives on");
}

#[test]
fn a_permission_that_is_missing_is_named_with_the_instance_it_is_for() {
    let stage = Stage::new();
    stage.aws.allow_only(&stage.aws.credentials().access_key_id, &["ssm:*"]);
    let fault = stage.refused(&stage.directly(NODE, stage.sshd.user()));
    assert_eq!(fault.code, "28000", "{fault:?}");
    assert!(fault.message.contains("may not ec2-instance-connect:SendSSHPublicKey"), "{fault:?}");
    let hint = fault.hint.unwrap_or_default();
    let arn = format!("arn:aws:ec2:us-east-1:*:instance/{NODE}");
    assert!(hint.contains(&arn) && hint.contains("ec2:osuser"), "{hint}");
    assert_eq!(stage.sshd.logins(), 0);
}

#[test]
fn a_user_whom_the_instance_does_not_have_is_refused_with_the_usual_ones() {
    let stage = Stage::new();
    let fault = stage.refused(&stage.directly(NODE, "somebody-else"));
    assert_eq!(fault.code, "28000", "{fault:?}");
    assert!(fault.message.contains("refused user \"somebody-else\""), "{fault:?}");
    assert!(fault.message.contains("a key by EC2 Instance Connect (SHA256:"), "{fault:?}");
    let hint = fault.hint.unwrap_or_default();
    assert!(hint.contains("ec2-user on Amazon Linux") && hint.contains(NODE), "{hint}");
}

#[test]
fn an_instance_that_is_not_there_and_one_that_does_not_run_are_told_apart() {
    let stage = Stage::new();
    let fault = stage.refused(&stage.directly("i-00000000000000001", stage.sshd.user()));
    assert_eq!(fault.code, "28000", "{fault:?}");
    assert!(
        fault.message.contains("no EC2 instance i-00000000000000001 in us-east-1"),
        "{fault:?}"
    );

    stage.aws.session_manager().offline(NODE);
    let fault = stage.refused(&stage.directly(NODE, stage.sshd.user()));
    assert_eq!(fault.code, "08001", "{fault:?}");
    assert!(fault.message.contains(&format!("EC2 instance {NODE} does not run")), "{fault:?}");
    assert!(fault.hint.unwrap_or_default().contains("start the instance"));
}

const NODE: &str = "i-0123456789abcdef0";
const PUSH: &str = "ec2-instance-connect:SendSSHPublicKey";
