//! A configuration that lies in a repository: how it is found, what it may do, and what it may not.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_debug_formatting,
    reason = "Debug quotes paths as TOML wants them, and a test ends by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use pgferry_simulators::{Grace, Process};
use serde_json::Value;
use support::PATIENCE;
use support::pgferry::binary;
use support::terminal::at_terminal;
use support::tool::run;

/// Asks for nothing: its password is its own.
const HARMLESS: &str = "[targets.dev]\nlisten = \"127.0.0.1:0\"\n\
    database = { host = \"dev.example\", ca_file = \"ca.pem\" }\n\
    credential = { kind = \"password\", user = \"app\", password = \"hunter2hunter2\" }\n";

/// What an attacker would try, a line each.
const GREEDY: &str = r#"[targets.a]
listen = ["127.0.0.1:0", "0.0.0.0:0"]
database = { host = "evil.example", ca_file = "ca.pem", tls = "verify-ca" }
credential = { kind = "password", user = "app", password_env = "MY_AWS_KEY" }
local_auth = { kind = "scram", password_file = "../outside" }
transport = "library"
[targets.b]
listen = { unix = "/tmp" }
database = { host = "evil.example", ca_file = "link.pem" }
credential = { kind = "password", user = "app", password_file = ".env" }
local_auth = { kind = "trust" }
[targets.b.transport]
kind = "ssh"
host = "bastion.evil"
user = "u"
key_file = "~/.ssh/id_ed25519"
agent = true
known_hosts_file = "/dev/null"
host_key_policy = "accept-new"
secrets.key_passphrase = { env = "MY_PASSPHRASE" }
[transports.library]
kind = "x"
path = "libevil.so"
secrets.x = { file = "~/.netrc" }
"#;

const GREEDY_POWERS: [&str; 14] = [
    "line 2: targets.a.listen[1]: listens where other machines can connect: 0.0.0.0:0",
    "line 3: targets.a.database.tls: does not verify the database: verify-ca",
    "line 4: targets.a.credential.password_env: hands over the environment variable MY_AWS_KEY, for evil.example",
    "line 5: targets.a.local_auth.password_file: uses a file outside its directory: ../outside",
    "line 8: targets.b.listen.unix: makes a socket outside its directory: /tmp",
    "line 9: targets.b.database.ca_file: uses a file outside its directory: link.pem",
    "line 10: targets.b.credential.password_file: hands over the secret in the file .env, for evil.example",
    "line 11: targets.b.local_auth.kind: lets in everybody on this machine: trust",
    "line 16: targets.b.transport.key_file: logs in with a key outside its directory: ~/.ssh/id_ed25519, for bastion.evil",
    "line 17: targets.b.transport.agent: logs in with the keys of your ssh-agent: true, for bastion.evil",
    "line 18: targets.b.transport.known_hosts_file: uses a file outside its directory: /dev/null",
    "line 19: targets.b.transport.host_key_policy: believes and records host keys by itself: accept-new",
    "line 20: targets.b.transport.secrets.key_passphrase.env: hands over the environment variable MY_PASSPHRASE, for bastion.evil",
    "line 23: transports.library.path: loads a library into pgferry: libevil.so",
];

const OTHER_POWERS: [&str; 3] = [
    "line 13: targets.b.transport.kind: may log in with your ssh keys and agent",
    "line 22: transports.library.kind: runs other code, with settings of its choice: x",
    "line 24: transports.library.secrets.x.file: hands over the secret in the file ~/.netrc",
];

/// A home, a repository in it, and nothing of the machine's own.
struct Clone {
    directory: tempfile::TempDir,
}

impl Clone {
    fn with(text: &str) -> Self {
        let clone = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(clone.deep()).unwrap();
        let authority = pgferry_simulators::Authority::new("any").unwrap();
        fs::write(clone.path("ca.pem"), authority.pem()).unwrap();
        clone.write(text);
        clone
    }

    fn home(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home().join("repository").join(name)
    }

    /// Where the person works.
    fn deep(&self) -> PathBuf {
        self.path("src/deep")
    }

    fn file(&self) -> PathBuf {
        self.path(".pgferry.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
        fs::set_permissions(self.file(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PGFERRY_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(self.deep()).env("HOME", self.home());
        command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME").stdin(Stdio::null());
        command
    }

    fn says(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What `config check --json` shows.
    fn checked(&self) -> Value {
        let output = self.says(&["config", "check", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asserts that a command failed with the code, and that its error has the words.
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

fn done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_harmless_file_upwards_runs_at_once() {
    let clone = Clone::with(HARMLESS);
    let (mut process, log) = Process::run(&clone.command(&["run"]), Grace::Terminate).unwrap();
    log.wait_for("ready: target dev", PATIENCE).unwrap();
    process.signal(rustix::process::Signal::TERM).unwrap();
    assert_eq!(process.wait(PATIENCE).unwrap(), Some(143));
    done(&clone.says(&["config", "check"]));
    let output = clone.says(&["config", "trust"]);
    done(&output);
    assert!(stdout(&output).contains("asks for nothing that needs trust"), "{output:?}");
}

#[test]
fn an_untrusted_file_is_refused_with_every_power_it_asks_for() {
    let clone = Clone::with(GREEDY);
    symlink(clone.home().join("secret"), clone.path("link.pem")).unwrap();
    let mut words = GREEDY_POWERS.to_vec();
    words.extend(OTHER_POWERS);
    words.push("read it, then run: pgferry config trust");
    words.push(clone.file().to_str().unwrap().to_owned().leak());
    for command in [&["run"][..], &["config", "check"], &["config", "check", "--json"]] {
        refused(&clone.says(command), 65, &words);
    }
    let powers = stderr(&clone.says(&["run"])).matches("\n  line ").count();
    assert_eq!(powers, GREEDY_POWERS.len() + OTHER_POWERS.len());
}

#[test]
fn a_check_of_an_untrusted_file_says_so_and_shows_what_can_be_said() {
    let clone = Clone::with(
        &HARMLESS.replace("password = \"hunter2hunter2\"", "password_env = \"NOT_SET\""),
    );
    let shown = clone.checked();
    assert_eq!((&shown["trust"], &shown["whole"]), (&"missing".into(), &false.into()));
    assert_eq!(shown["powers"][0]["key"], "targets.dev.credential.password_env");
    assert_eq!(shown["powers"][0]["line"], 4);
    assert!(shown["besides"].as_str().unwrap().contains("NOT_SET is not set"), "{shown}");
    let output = clone.says(&["config", "check"]);
    assert!(stdout(&output).contains("besides: "), "{output:?}");
    assert!(!stdout(&output).contains("is whole"), "{output:?}");
}

#[test]
fn trust_is_for_the_content_and_ends_with_it() {
    let asks = HARMLESS.replace("password = \"hunter2hunter2\"", "password_env = \"PATH\"");
    let clone = Clone::with(&asks);
    refused(&clone.says(&["config", "check"]), 65, &["line 4", "config trust"]);
    let output = clone.says(&["config", "trust", "--yes"]);
    done(&output);
    assert!(stdout(&output).contains("line 4: targets.dev.credential.password_env"), "{output:?}");
    done(&clone.says(&["config", "check"]));
    assert_eq!(clone.checked()["trust"], "given");

    let record = clone.home().join(".local/state/pgferry/trusted.toml");
    assert_eq!(fs::metadata(record).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = stdout(&clone.says(&["config", "trust", "--list"]));
    assert!(listed.trim_end().ends_with(clone.file().to_str().unwrap()), "{listed}");

    clone.write(&asks.replace("dev.example", "evil.example"));
    let words = ["has changed since you trusted it", "PATH, for evil.example"];
    refused(&clone.says(&["run"]), 65, &words);
    clone.write(&asks);
    done(&clone.says(&["config", "check"]));
    done(&clone.says(&["config", "untrust"]));
    refused(&clone.says(&["config", "check"]), 65, &["came with its directory"]);
}

#[test]
fn nobody_is_trusted_without_a_yes() {
    let clone = Clone::with(
        &HARMLESS
            .replace("127.0.0.1:0", "127.0.0.1:0\", \"0.0.0.0:0")
            .replace(
                "listen = ",
                "local_auth = { kind = \"scram\", password_file = \"pw\" }\nlisten = [",
            )
            .replace("0.0.0.0:0\"", "0.0.0.0:0\"]"),
    );
    refused(&clone.says(&["config", "trust"]), 64, &["no terminal", "--yes"]);
    refused(&clone.says(&["run"]), 65, &["0.0.0.0:0"]);
    for (answer, code, word) in
        [("n", 1, "not trusted"), ("", 1, "not trusted"), ("y", 0, "trusted,")]
    {
        let keys = clone.path("keys");
        fs::write(&keys, format!("{answer}\n")).unwrap();
        let mut command = at_terminal(&clone.command(&["config", "trust"]));
        command.current_dir(clone.deep()).stdin(fs::File::open(&keys).unwrap());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{answer}: {output:?}");
        assert!(stdout(&output).contains("Trust it? [y/N]"), "{output:?}");
        assert!(stdout(&output).contains(word), "{answer}: {output:?}");
    }
}

#[test]
fn a_file_that_a_person_names_needs_no_trust() {
    let clone =
        Clone::with(&HARMLESS.replace("password = \"hunter2hunter2\"", "password_env = \"PATH\""));
    let file = clone.file();
    done(&clone.says(&["config", "check", "--config", file.to_str().unwrap()]));
    done(&clone.command(&["config", "check"]).env("PGFERRY_CONFIG", &file).output().unwrap());
    // An empty variable is none.
    let output = clone.command(&["config", "check"]).env("PGFERRY_CONFIG", "").output().unwrap();
    refused(&output, 65, &["config trust"]);
    let output = clone.says(&["config", "trust", "--yes", "/etc/pgferry/config.toml"]);
    refused(&output, 64, &[".pgferry.toml", "--config"]);
}

#[test]
fn a_link_to_a_trusted_file_does_not_borrow_its_trust() {
    let asks = HARMLESS.to_owned() + "transport = { kind = \"x\", path = \"libx.so\" }\n";
    let trusted = Clone::with(&asks);
    let evil = trusted.home().join("evil");
    fs::create_dir(&evil).unwrap();
    symlink(trusted.file(), evil.join(".pgferry.toml")).unwrap();
    done(&trusted.says(&["config", "trust", "--yes"]));
    let output = trusted.command(&["run"]).current_dir(&evil).output().unwrap();
    refused(&output, 65, &["came with its directory", "libx.so"]);
}

#[test]
fn a_file_of_another_user_is_refused_whatever_it_asks_for() {
    let clone = Clone::with(HARMLESS);
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a file away");
        return;
    }
    chown(clone.file(), Some(65534), None).unwrap();
    let words = ["belongs to another user (uid 65534)", "--config"];
    for command in [&["run"][..], &["config", "check"], &["config", "trust", "--yes"]] {
        refused(&clone.says(command), 65, &words);
    }
    // A link of somebody else's is no better than a file.
    fs::rename(clone.file(), clone.path("mine.toml")).unwrap();
    chown(clone.path("mine.toml"), Some(0), None).unwrap();
    symlink(clone.path("mine.toml"), clone.file()).unwrap();
    done(&clone.says(&["config", "check"]));
    std::os::unix::fs::lchown(clone.file(), Some(65534), None).unwrap();
    refused(&clone.says(&["run"]), 65, &words);
}

#[test]
fn the_nearest_file_counts_and_the_others_are_named() {
    let clone = Clone::with(HARMLESS);
    let own = clone.home().join(".config/pgferry/config.toml");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, "").unwrap();
    fs::write(clone.home().join(".pgferry.toml"), "").unwrap();
    let looked = clone.checked()["looked_at"].clone();
    let outcomes: Vec<_> = looked
        .as_array()
        .unwrap()
        .iter()
        .map(|at| (PathBuf::from(at["file"].as_str().unwrap()), at["outcome"].as_str().unwrap()))
        .collect();
    let wanted = [
        (clone.file(), "chosen"),
        (clone.deep().join(".pgferry.toml"), "not there"),
        (clone.path("src/.pgferry.toml"), "not there"),
        (own.clone(), "passed over"),
    ];
    assert_eq!(outcomes[..4], wanted);
    assert_eq!(outcomes[4].0, Path::new("/etc/pgferry/config.toml"));

    fs::remove_file(clone.file()).unwrap();
    fs::remove_file(clone.home().join(".pgferry.toml")).unwrap();
    refused(&clone.says(&["run"]), 65, &[own.to_str().unwrap(), "targets"]);
    fs::remove_file(&own).unwrap();
    let upwards = format!(
        "for .pgferry.toml in {} and up to {}",
        clone.deep().display(),
        clone.home().display()
    );
    let words = [&upwards, own.to_str().unwrap(), "/etc/pgferry/config.toml", "--config"];
    refused(&clone.says(&["run"]), 65, &words);
    refused(&clone.says(&["config", "trust"]), 65, &[&upwards]);
}

#[test]
fn without_a_home_nothing_is_trusted_and_the_error_says_what_to_set() {
    let clone =
        Clone::with(&HARMLESS.replace("password = \"hunter2hunter2\"", "password_env = \"PATH\""));
    for home in [None, Some(""), Some("relative")] {
        let without = |arguments: &[&str]| {
            let mut command = clone.command(arguments);
            match home {
                None => command.env_remove("HOME"),
                Some(home) => command.env("HOME", home),
            };
            command
        };
        refused(&without(&["run"]).output().unwrap(), 65, &["config trust"]);
        let trust = ["config", "trust", "--yes"];
        refused(&without(&trust).output().unwrap(), 65, &["XDG_STATE_HOME"]);
        let state = clone.home().join("state");
        done(&without(&trust).env("XDG_STATE_HOME", &state).output().unwrap());
        let check = without(&["config", "check"]).env("XDG_STATE_HOME", &state).output().unwrap();
        done(&check);
        fs::remove_dir_all(state).unwrap();
    }
}

#[test]
fn every_setting_is_shown_with_its_origin_and_no_secret_is() {
    let clone = Clone::with(&format!("{HARMLESS}[limits]\ntls = \"5s\"\n"));
    let mut command = clone.command(&["config", "check", "--plugin-dir", "/from/flag", "--json"]);
    command.env("PGFERRY_PLUGIN_DIR", "/from/env").env("PGFERRY_NO_PLUGINS", "true");
    let output = command.output().unwrap();
    done(&output);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |key: &str| {
        let settings = shown["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["key"] == key).cloned().unwrap()
    };
    let line =
        |line: u32| serde_json::json!({ "kind": "file", "file": clone.file(), "line": line });
    assert_eq!(of("limits.tls")["origin"], line(6));
    assert_eq!(of("targets.dev.credential.password")["origin"], line(4));
    assert_eq!(of("limits.tcp")["origin"]["kind"], "default");
    assert_eq!(of("--plugin-dir")["value"], "/from/flag");
    assert_eq!(
        of("--plugin-dir")["origin"],
        serde_json::json!({ "kind": "flag", "name": "--plugin-dir" })
    );
    let variable = serde_json::json!({ "kind": "environment", "name": "PGFERRY_NO_PLUGINS" });
    assert_eq!(of("--no-plugins")["origin"], variable);

    let text = clone.says(&["config", "check"]);
    done(&text);
    let text = stdout(&text);
    let row = text.lines().find(|line| line.starts_with("limits.tls ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["limits.tls", "5s", ".pgferry.toml:6"]);
    let password = text.lines().find(|line| line.contains("credential.password ")).unwrap();
    assert!(password.contains("[secret]") && password.contains("0600, private"), "{password}");
    for said in [text, shown.to_string()] {
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_flag_comes_before_its_variable_and_that_before_the_default() {
    let clone = Clone::with(HARMLESS);
    let log = |variable: Option<&str>, flag: &[&str]| {
        let mut command = clone.command(&[&["run"], flag].concat());
        command.envs(variable.map(|value| ("PGFERRY_LOG_FORMAT", value)));
        let (process, log) = Process::run(&command, Grace::Terminate).unwrap();
        let line = log.wait_for("ready: target dev", PATIENCE).unwrap();
        drop(process);
        line.starts_with('{')
    };
    assert!(!log(None, &[]));
    assert!(log(Some("json"), &[]));
    assert!(!log(Some("json"), &["--log-format", "text"]));
    let output = clone.command(&["run"]).env("PGFERRY_LOG_LEVEL", "loud").output().unwrap();
    refused(&output, 64, &["loud", "trace"]);
    // Help tells the names of variables, never what is in them.
    let mut help = clone.command(&["run", "--help"]);
    let help = run(help.env("PGFERRY_CONFIG", "/a/secret/place"));
    assert!(stdout(&help).contains("PGFERRY_CONFIG"), "{help:?}");
    assert!(!stdout(&help).contains("/a/secret/place"), "{help:?}");
}

#[test]
fn no_terminal_obeys_what_a_file_says() {
    let clone = Clone::with(&HARMLESS.replace(
        "password = \"hunter2hunter2\"",
        "password_env = \"X\\u001b[2K\\u202e\\n  line 1: nothing\"",
    ));
    for command in [&["run"][..], &["config", "check"], &["config", "trust", "--yes"]] {
        let output = clone.says(command);
        let said = stdout(&output) + &stderr(&output);
        assert!(said.contains("\\u{1b}[2K\\u{202e}\\n  line 1"), "{said}");
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{said}");
    }
}
