//! The command line: exit codes, words, and what goes to which stream.

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
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use pgferry_simulators::Role;
use support::PATIENCE;
use support::client::Wire;
use support::pgferry::{Pgferry, binary, pgferry, write_config};
use support::target::Target;
use support::world::{Way, World};

/// A configuration that is whole, with a literal password and a listener of the system's choice.
const WHOLE: &str = "[targets.dev]\nlisten = \"127.0.0.1:0\"\n\
    database = { host = \"dev.example\", ca_file = \"ca.pem\" }\n\
    credential = { kind = \"password\", user = \"app\", password = \"hunter2hunter2\" }\n";

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        let authority = pgferry_simulators::Authority::new("any").unwrap();
        fs::write(place.path("ca.pem"), authority.pem()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self, text: &str) -> String {
        write_config(self.directory.path(), text).to_str().unwrap().to_owned()
    }

    /// What `command --config` says about this configuration.
    fn says(&self, command: &[&str], text: &str) -> Output {
        let file = self.config(text);
        pgferry(&[command, &["--config", &file]].concat())
    }
}

/// Asserts the exit code, words on standard error, and nothing on standard output.
fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert!(!said.contains("hunter2"), "a password in: {said}");
}

#[test]
fn without_a_configuration_the_places_that_were_looked_at_are_named() {
    let home = tempfile::tempdir().unwrap();
    let output = binary()
        .arg("run")
        .env_remove("XDG_CONFIG_HOME")
        .env("HOME", home.path())
        .output()
        .unwrap();
    let own = home.path().join(".config/pgferry/config.toml");
    let places = ["error: ", own.to_str().unwrap(), "/etc/pgferry/config.toml", "--config"];
    assert_fails(&output, 65, &places);
}

#[test]
fn an_unknown_key_stops_the_start_with_the_nearest_one() {
    let place = Place::new();
    for command in [&["run"][..], &["config", "check"]] {
        let text = WHOLE.replace("listen", "lisen");
        let words = ["pgferry.toml:", "targets.dev", "`lisen`", "did you mean `listen`?"];
        assert_fails(&place.says(command, &text), 65, &words);
        let text = WHOLE.replace("ca_file", "cafile");
        assert_fails(&place.says(command, &text), 65, &["did you mean `ca_file`?"]);
        let text = format!("{WHOLE}[limits]\ndrian = \"1s\"\n");
        assert_fails(&place.says(command, &text), 65, &["limits", "did you mean `drain`?"]);
    }
}

#[test]
fn an_unknown_target_stops_the_start_with_the_nearest_one() {
    let place = Place::new();
    let file = place.config(WHOLE);
    let output = pgferry(&["run", "--config", &file, "dve"]);
    assert_fails(&output, 65, &["no target `dve`", "did you mean `dev`?"]);
    let output = pgferry(&["run", "--config", &file, "production"]);
    assert_fails(&output, 65, &["no target `production`", "there is dev"]);
}

#[test]
fn an_address_that_is_taken_is_named_with_who_may_have_it() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = place.says(&["run"], &WHOLE.replace("127.0.0.1:0", &address));
    assert_fails(&output, 69, &["\"dev\"", &address, "already in use", "local PostgreSQL"]);
    let text = format!("[admin]\nlisten = \"{address}\"\n{WHOLE}");
    assert_fails(&place.says(&["run"], &text), 69, &["admin.listen", &address]);
}

#[test]
fn a_file_with_a_literal_password_must_not_be_readable_by_others() {
    let place = Place::new();
    let file = place.config(WHOLE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&["run", "--config", &file][..], &["config", "check", "--config", &file]] {
        let words = ["targets.dev.credential.password", "0644", "chmod 600", &file];
        assert_fails(&pgferry(command), 65, &words);
    }
}

#[test]
fn a_region_without_roots_stops_the_start_unless_a_file_or_nothing_is_to_be_believed() {
    let place = Place::new();
    let host = "db.cluster-c9abc.il-central-1.rds.amazonaws.com";
    let with_file = WHOLE.replace("dev.example", host);
    let without = with_file.replace(", ca_file = \"ca.pem\"", "");
    for command in [&["run"][..], &["config", "check"]] {
        let bundle =
            "https://truststore.pki.rds.amazonaws.com/il-central-1/il-central-1-bundle.pem";
        let words = ["targets.dev", "the region il-central-1;", bundle, "database.ca_file"];
        assert_fails(&place.says(command, &without), 65, &words);
    }
    let disabled = with_file.replace("ca_file = \"ca.pem\"", "tls = \"disable\"");
    for text in [with_file, disabled] {
        let output = place.says(&["config", "check"], &text);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

#[test]
fn the_roots_that_a_name_calls_for_are_shown() {
    let place = Place::new();
    let without = WHOLE.replace(", ca_file = \"ca.pem\"", "");
    for (host, roots) in [
        ("db.c9abc.eu-west-1.rds.amazonaws.com", "RDS's roots for eu-west-1"),
        ("p.proxy-c9abc.eu-west-1.rds.amazonaws.com", "Amazon Trust Services' roots"),
    ] {
        let text = without.replace("dev.example", host);
        let output = place.says(&["config", "check"], &text);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let shown = String::from_utf8(output.stdout).unwrap();
        let line = shown.lines().find(|line| line.contains("database.ca_file")).unwrap();
        assert!(line.contains(roots) && line.contains("default"), "{line}");
    }
}

#[test]
fn a_plugin_that_is_not_there_stops_the_start() {
    let place = Place::new();
    let missing = place.path("libpgferry_transport_x.so");
    let transport = format!("transport = {{ kind = \"x\", path = {missing:?} }}\n");
    let output = place.says(&["run"], &format!("{WHOLE}{transport}"));
    assert_fails(&output, 78, &["transport dev", missing.to_str().unwrap(), "No such file"]);
    let output =
        place.says(&["config", "check"], &format!("{WHOLE}transport = {{ kind = \"x\" }}"));
    assert_fails(&output, 78, &["there is no plugin x", "linked in"]);
}

#[test]
fn a_whole_configuration_is_shown_as_text_and_as_json() {
    let place = Place::new();
    let text = WHOLE.replace("127.0.0.1:0", "127.0.0.1:15432");
    let output = place.says(&["config", "check"], &text);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("the configuration is whole"), "{shown}");
    let line = "  dev: 127.0.0.1:15432 -> dev (direct) -> dev.example:5432\n    as app: the password in the configuration\n";
    assert!(shown.ends_with(line), "{shown}");

    let output = place.says(&["config", "check", "--json"], &text);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["targets"][0]["name"], "dev");
    assert_eq!(shown["targets"][0]["listen"][0], "127.0.0.1:15432");
    assert_eq!(shown["targets"][0]["port"], 5432);
    assert_eq!(shown["targets"][0]["credential"]["from"], "the password in the configuration");
    assert!(!shown.to_string().contains("hunter2"));
}

#[test]
fn plugins_that_are_linked_in_and_those_in_directories_are_listed() {
    let place = Place::new();
    let file = place.path("libpgferry_transport_mine.so");
    fs::write(&file, "not even a library: listing loads nothing").unwrap();
    let directory = place.directory.path().to_str().unwrap();
    let output = pgferry(&["plugin", "list", "--plugin-dir", directory]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    for line in [
        "direct           built in",
        "exec             built in",
        "data-api         linked in",
        "ssh              linked in",
        "ssm              linked in",
    ] {
        assert!(shown.lines().any(|is| is == line), "{line:?}: {shown}");
    }
    assert!(shown.contains(&format!("mine             {}", file.display())), "{shown}");
    let output = pgferry(&["plugin", "list", "--json", "--plugin-dir", directory]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["plugins"][5]["place"], file.to_str().unwrap());
}

#[test]
fn the_version_is_shown_as_text_and_as_json() {
    let version = env!("CARGO_PKG_VERSION");
    let output = pgferry(&["version"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.starts_with(&format!("pgferry {version}\n")), "{shown}");
    let output = pgferry(&["version", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["version"], version);
    assert_eq!(shown["linked"], serde_json::json!(["data-api", "ssh", "ssm"]));
    assert!(shown["contract"].is_string());
}

#[test]
fn the_help_of_every_command_is_as_recorded() {
    let commands: [&[&str]; 15] = [
        &[],
        &["run"],
        &["exec"],
        &["psql"],
        &["url"],
        &["env"],
        &["config"],
        &["config", "check"],
        &["config", "trust"],
        &["config", "untrust"],
        &["plugin"],
        &["plugin", "list"],
        &["plugin", "check"],
        &["local-ca"],
        &["version"],
    ];
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for command in commands {
        let output = pgferry(&[command, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let shown = String::from_utf8(output.stdout).unwrap();
        let name = if command.is_empty() { "pgferry".to_owned() } else { command.join("-") };
        let file = golden.join(format!("help-{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, &shown).unwrap();
        }
        let recorded = fs::read_to_string(&file).unwrap();
        assert_eq!(shown, recorded, "{}: after a wanted change, UPDATE_GOLDEN=1", file.display());
    }
}

#[test]
fn wrong_arguments_have_a_code_of_their_own() {
    assert_fails(&pgferry(&["rum"]), 64, &["unrecognized subcommand 'rum'", "run"]);
    assert_fails(&pgferry(&["run", "--log-level", "loud"]), 64, &["loud", "trace"]);
    assert_fails(&pgferry(&[]), 64, &["Usage"]);
}

#[test]
fn everything_a_run_says_goes_to_standard_error_and_every_json_line_is_one() {
    let world = World::start();
    let target = Target::new("db", &world, Way::SshLinked, Role::Scram);
    let directory = tempfile::tempdir().unwrap();
    let stdout = directory.path().join("stdout");
    let mut pgferry = Pgferry::start_with(&target.to_string(), |command| {
        command.args(["--log-format", "json"]);
        // A shell in between, because the process's standard output is not the tests' to give.
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "out=$1; shift; exec \"$@\" >\"$out\"", "sh"]).arg(&stdout);
        shell.arg(command.get_program()).args(command.get_args());
        *command = shell;
    });
    Wire::open(pgferry.port("db")).unwrap().query("select 1").unwrap();
    pgferry.log().wait_for("session closed", PATIENCE).unwrap();
    pgferry.process().signal(rustix::process::Signal::TERM).unwrap();
    assert_eq!(pgferry.process().wait(PATIENCE).unwrap(), Some(143));
    assert_eq!(fs::read_to_string(stdout).unwrap(), "");
    pgferry.log().wait_for("stopped", PATIENCE).unwrap();
    let lines = pgferry.log().lines();
    assert!(lines.len() > 3);
    for line in lines {
        let parsed: serde_json::Value = serde_json::from_str(&line).expect(&line);
        assert!(parsed["message"].is_string() && parsed["level"].is_string(), "{line}");
    }
}

#[test]
fn no_secret_is_in_the_log_at_its_finest() {
    let world = World::start();
    let local = world.secret_file("local", "a local password");
    let roles = [Role::Scram, Role::Md5, Role::Cleartext];
    let mut targets = String::new();
    for role in roles {
        let target = Target::new(role.name(), &world, Way::SshLinked, role);
        targets += &target.to_string();
    }
    let mut guarded = Target::new("guarded", &world, Way::Direct, Role::Scram);
    guarded.local_auth = format!("{{ kind = \"scram\", password_file = {local:?} }}");
    targets += &guarded.to_string();
    let pgferry = Pgferry::start_with(&targets, |command| {
        command.env("PGFERRY_LOG_LEVEL", "trace");
    });
    let mut secrets = vec!["a local password".to_owned()];
    for role in roles {
        let (mut wire, key) = Wire::open_with_key(pgferry.port(role.name()));
        wire.query("select 'a row of the application'").unwrap();
        Wire::cancel(pgferry.port(role.name()), &key);
        let secret = &key[4..];
        let number = u32::from_be_bytes(secret.try_into().unwrap());
        secrets.extend([format!("{number:08x}"), number.to_string()]);
        secrets.push(format!("{secret:?}").trim_matches(['[', ']']).to_owned());
        secrets.push(world.postgres.password(role).to_owned());
    }
    let verifiers = world.postgres.query("select rolpassword from pg_authid where rolcanlogin");
    let verifiers = verifiers.unwrap();
    let parts = verifiers.split(['$', ':', '\n']).filter(|part| part.len() > 15);
    secrets.extend(parts.map(ToOwned::to_owned));
    secrets.push("a row of the application".to_owned());
    let mut psql = world.psql(&pgferry, "guarded");
    psql.env("PGPASSWORD", "a local password").args(["-c", "select 1"]);
    assert!(psql.output().unwrap().status.success());
    let log = pgferry.log().text();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret:?} is in the log:\n{log}");
    }
}
