//! Transports on top of each other, and commands as transports: real bastions, a real `ssh -W`.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgferry_simulators::{Key, Role, Sshd};
use support::client::{Fault, Wire};
use support::pgferry::{Pgferry, pgferry, write_config};
use support::shared::Shared;
use support::target::Target;
use support::world::{Way, World};

/// A database, and two bastions: the world's own is the near one.
struct Stage {
    world: World,
    far: Sshd,
}

impl Stage {
    fn get() -> std::sync::Arc<Self> {
        static STAGE: Shared<Stage> = Shared::new();
        STAGE.get(|| Self { world: World::start(), far: Sshd::start() })
    }

    /// A target that goes through a transport of this name.
    fn target(&self, transport: &str) -> Target {
        let mut target = Target::new("db", &self.world, Way::Direct, Role::Scram);
        target.transport = format!("\"{transport}\"");
        target
    }
}

/// `[transports.NAME]` with the ssh transport to a bastion.
fn ssh(name: &str, sshd: &Sshd, more: &str) -> String {
    format!(
        "[transports.{name}]\nkind = \"ssh\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\n\
         key_file = {:?}\nknown_hosts_file = {:?}\nssh_config = false\n{more}\n",
        sshd.port(),
        sshd.user(),
        sshd.key_file(Key::Ed25519),
        sshd.known_hosts_file()
    )
}

/// `[transports.NAME]` with a command.
fn exec(name: &str, words: &[&str]) -> String {
    format!("[transports.{name}]\nkind = \"exec\"\ncommand = {words:?}\n")
}

/// `[transports.NAME]` with OpenSSH's client to a bastion.
fn ssh_w(name: &str, sshd: &Sshd) -> String {
    let mut client = sshd.client(Key::Ed25519).expect("openssh-client");
    client.args(["-W", "%h:%p"]);
    exec(name, &words(&client).iter().map(String::as_str).collect::<Vec<_>>())
}

fn words(command: &Command) -> Vec<String> {
    let program = [command.get_program()].into_iter();
    program.chain(command.get_args()).map(|word| word.to_str().unwrap().to_owned()).collect()
}

fn run(target: &Target, transports: &[String]) -> Pgferry {
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"";
    Pgferry::start(&format!("{admin}\n{target}\n{}", transports.concat()))
}

fn assert_serves(pgferry: &Pgferry) {
    let rows = Wire::open(pgferry.port("db")).and_then(|mut wire| wire.query("select 42"));
    assert_eq!(rows, Ok(vec!["42".to_owned()]), "{}", pgferry.log().text());
}

/// Opens a session, breaks its path, and gives what it is told.
fn broken(pgferry: &Pgferry, break_it: impl FnOnce()) -> Fault {
    let mut wire = Wire::open(pgferry.port("db")).expect("a session");
    assert_eq!(wire.query("select 1"), Ok(vec!["1".to_owned()]));
    break_it();
    wire.fault()
}

#[test]
fn a_command_carries_sessions_and_cancel_requests() {
    let stage = Stage::get();
    let pgferry = run(&stage.target("corp"), &[ssh_w("corp", &stage.world.sshd)]);
    assert_serves(&pgferry);
    let (mut wire, key) = Wire::open_with_key(pgferry.port("db"));
    wire.ask("do $$ begin raise notice 'running'; perform pg_sleep(3600); end $$");
    while wire.next().unwrap().unwrap().tag != b'N' {}
    Wire::cancel(pgferry.port("db"), &key);
    assert_eq!(wire.fault().code, "57014");
    let phases = "pgferry_connect_phase_duration_seconds_count{target=\"db\",transport=\"exec\",\
                  phase=\"transport\",outcome=\"ok\"}";
    assert_eq!(pgferry.metric(phases), Some(2.0), "{}", pgferry.admin("/metrics").1);
}

#[test]
fn ssh_goes_through_a_command() {
    let stage = Stage::get();
    let (near, far) = (&stage.world.sshd, &stage.far);
    let transports = [ssh_w("corp", near), ssh("bastion", far, "via = \"corp\"")];
    let pgferry = run(&stage.target("bastion"), &transports);
    let before = far.channels();
    assert_serves(&pgferry);
    assert_serves(&pgferry);
    assert_eq!(far.channels(), before + 2, "{}", far.log().text());
    // Both sessions share the connection to the far bastion, so there is one command.
    assert_eq!(pgferry.log().count("a command was started"), 1, "{}", pgferry.log().text());
}

#[test]
fn ssh_goes_through_ssh_through_a_command() {
    let stage = Stage::get();
    let (near, far) = (&stage.world.sshd, &stage.far);
    let transports = [
        ssh_w("corp", near),
        ssh("middle", far, "via = \"corp\""),
        ssh("bastion", near, "via = \"middle\""),
    ];
    let pgferry = run(&stage.target("bastion"), &transports);
    assert_serves(&pgferry);
}

#[test]
fn a_session_whose_lowest_layer_breaks_is_told_which_one_it_was() {
    let stage = Stage::get();
    let mut near = Sshd::start();
    let transports = [ssh_w("corp", &near), ssh("bastion", &stage.far, "via = \"corp\"")];
    let pgferry = run(&stage.target("bastion"), &transports);
    let fault = broken(&pgferry, || near.stop());
    let layers = ["transport bastion (ssh ", ") via corp (exec ", "; beneath it: transport corp"];
    fault.assert("db", "08006", &layers, "");
    assert!(fault.message.contains("ssh exited with status 255"), "{fault:?}");
}

#[test]
fn a_session_over_two_bastions_is_told_which_one_broke() {
    let stage = Stage::get();
    let mut near = Sshd::start();
    let transports = [ssh("near", &near, ""), ssh("bastion", &stage.far, "via = \"near\"")];
    let pgferry = run(&stage.target("bastion"), &transports);
    let fault = broken(&pgferry, || near.stop());
    let layers = ["transport bastion (ssh ", ") via near (ssh ", "; beneath it: transport near"];
    fault.assert("db", "08006", &layers, "");
}

#[test]
fn a_command_that_cannot_reach_its_host_is_quoted() {
    let stage = Stage::get();
    let script = "echo \"no route to $1:$2\" >&2; exit 7";
    let command = ["sh", "-c", script, "sh", "%h", "%p"];
    let pgferry = run(&stage.target("corp"), &[exec("corp", &command)]);
    let fault = Wire::refused(pgferry.port("db"));
    let port = stage.world.postgres.port();
    let words = format!("sh exited with status 7: no route to 127.0.0.1:{port}");
    fault.assert("db", "08001", &["transport corp (exec ", &words], "");

    let far = &stage.far;
    let transports = [exec("corp", &command), ssh("bastion", far, "via = \"corp\"")];
    let pgferry = run(&stage.target("bastion"), &transports);
    let fault = Wire::refused(pgferry.port("db"));
    let words = format!("sh exited with status 7: no route to 127.0.0.1:{}", far.port());
    let layers = ["transport bastion (ssh ", "; beneath it: transport corp (exec ", &words];
    fault.assert("db", &fault.code, &layers, "");
}

#[test]
fn a_program_that_is_not_there_is_named_to_the_application() {
    let stage = Stage::get();
    let missing = exec("corp", &["no-such-program-anywhere", "%h"]);
    let pgferry = run(&stage.target("corp"), &[missing]);
    let fault = Wire::refused(pgferry.port("db"));
    fault.assert("db", "08001", &["cannot run no-such-program-anywhere"], "PATH");
}

#[test]
fn a_session_learns_the_status_with_which_its_command_ended() {
    let stage = Stage::get();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("process-id");
    let client = words(stage.world.sshd.client(Key::Ed25519).unwrap().args(["-W", "%h:%p"]));
    let script = format!("echo $$ > '{}'; exec \"$@\"", path.display());
    let mut command = vec!["sh", "-c", &script, "sh"];
    command.extend(client.iter().map(String::as_str));
    let pgferry = run(&stage.target("corp"), &[exec("corp", &command)]);
    let fault = broken(&pgferry, || {
        let process_id = fs::read_to_string(&path).unwrap();
        assert!(
            Command::new("kill").args(["-KILL", process_id.trim()]).status().unwrap().success()
        );
    });
    fault.assert(
        "db",
        "08006",
        &["transport corp (exec ", "sh was ended by signal 9"],
        "took effect",
    );
}

#[test]
fn commands_end_with_pgferry() {
    let stage = Stage::get();
    let mut pgferry = run(&stage.target("corp"), &[ssh_w("corp", &stage.world.sshd)]);
    let wire = Wire::open(pgferry.port("db")).expect("a session");
    let children = children(pgferry.process().id());
    assert_eq!(children.len(), 1, "{children:?}");
    pgferry.process().signal(rustix::process::Signal::TERM).unwrap();
    pgferry.process().wait(support::PATIENCE).unwrap();
    for child in children {
        assert!(!Path::new(&format!("/proc/{child}")).exists(), "{child} outlives pgferry");
    }
    drop(wire);
}

/// The processes whose parent this one is.
fn children(parent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).expect("it runs");
    let children = threads.map(|thread| thread.unwrap().path().join("children"));
    let texts: Vec<String> = children.filter_map(|file| fs::read_to_string(file).ok()).collect();
    texts.iter().flat_map(|text| text.split_whitespace()).map(|id| id.parse().unwrap()).collect()
}

#[test]
fn layers_that_cannot_be_are_refused_with_their_key() {
    let stage = Stage::get();
    let sshd = &stage.world.sshd;
    let direct = "[transports.corp]\nkind = \"direct\"\n".to_owned();
    for (transports, words) in [
        (
            vec![ssh("corp", sshd, "via = \"nobody\"")],
            "transports.corp.via: no [transports.nobody]",
        ),
        (
            vec![ssh("corp", sshd, "via = \"b\""), ssh("b", sshd, "via = \"corp\"")],
            "via goes in a circle: b -> corp -> b",
        ),
        (
            vec![
                ssh("corp", sshd, "via = \"b\""),
                ssh("b", sshd, "via = \"c\""),
                ssh("c", sshd, "via = \"d\""),
                ssh("d", sshd, "via = \"e\""),
                ssh("e", sshd, ""),
            ],
            "transport corp: via is 5 deep",
        ),
        (vec![exec("corp", &["nc"]) + "via = \"b\"\n", ssh("b", sshd, "")], "exec makes its own"),
        (vec![direct + "via = \"b\"\n", ssh("b", sshd, "")], "direct makes its own"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("{}\n{}", stage.target("corp"), transports.concat());
        let file = write_config(directory.path(), &text);
        let output = pgferry(&["config", "check", "--config", file.to_str().unwrap()]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(words), "{words}: {errors}");
    }
}

/// `ssh_config` in which `prod` is reached through `gate`.
fn aliases(directory: &Path, gate: &Sshd, prod: &Sshd) -> PathBuf {
    let host = |name: &str, sshd: &Sshd| {
        format!(
            "Host {name}\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n \
             UserKnownHostsFile {}\n",
            sshd.port(),
            sshd.user(),
            sshd.key_file(Key::Ed25519).display(),
            sshd.known_hosts_file().display()
        )
    };
    let file = directory.join("ssh_config");
    let more = "Host refused\n ProxyCommand nc %h %p\n";
    let text = format!("{}{} ProxyJump gate\n{more}", host("gate", gate), host("prod", prod));
    fs::write(&file, text).unwrap();
    file
}

fn alias(name: &str, file: &Path) -> String {
    format!("[transports.bastion]\nkind = \"ssh\"\nhost = {name:?}\nssh_config_file = {file:?}\n")
}

#[test]
fn an_alias_of_ssh_config_leads_through_its_jump_to_the_database() {
    let stage = Stage::get();
    let directory = tempfile::tempdir().unwrap();
    let file = aliases(directory.path(), &stage.world.sshd, &stage.far);
    let pgferry = run(&stage.target("bastion"), &[alias("prod", &file)]);
    assert_serves(&pgferry);
    let way = format!("via gate (127.0.0.1:{})", stage.world.sshd.port());
    assert!(pgferry.log().text().contains(&way), "{}", pgferry.log().text());
}

#[test]
fn an_alias_that_cannot_be_followed_stops_the_start_with_line_and_remedy() {
    let stage = Stage::get();
    let directory = tempfile::tempdir().unwrap();
    let file = aliases(directory.path(), &stage.world.sshd, &stage.far);
    let text = format!("{}\n{}", stage.target("bastion"), alias("refused", &file));
    let config = write_config(directory.path(), &text);
    let output = pgferry(&["config", "check", "--config", config.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    for words in [&format!("{}:15: proxycommand", file.display()), "kind \"exec\"", "jump = []"] {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
}
