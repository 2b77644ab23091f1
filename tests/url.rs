//! `pgferry url` and `pgferry env`: the way to a listener of `pgferry run`.

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
use std::path::PathBuf;
use std::process::Command;

use pgferry_simulators::Role;
use support::pgferry::{Pgferry, binary, pgferry, write_config};
use support::target::Target;
use support::terminal::at_terminal;
use support::tool::{limited, succeed};
use support::world::{Way, World};

/// What every shell and every URL stumbles over.
const AWKWARD: &str = "it's \"a\" $pass`word\\ #1?&%20 ü ‘";

struct Place {
    directory: tempfile::TempDir,
    config: PathBuf,
}

impl Place {
    /// Targets whose database password is nowhere to be found: nobody needs it here.
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let rest = "credential = { kind = \"password\", user = \"app user\", password_env = \"NOWHERE\" }\n";
        let text =
            text.replace("REST\n", &format!("database = {{ host = \"db.example\" }}\n{rest}"));
        let config = write_config(directory.path(), &text);
        fs::write(directory.path().join("local.pw"), format!("{AWKWARD}\n")).unwrap();
        Self { directory, config }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = binary();
        command.args(words).arg("--config").arg(&self.config).env_remove("NOWHERE");
        command
    }

    /// Its words of refusal.
    fn refuses(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(65), vec![]), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

const SEVERAL: &str = "\
[targets.both]
listen = [{ unix = \"/run/my pg\", port = 6000 }, \"0.0.0.0:15432\"]
local_auth = { kind = \"scram\", user = \"me\", password_file = \"local.pw\" }
REST
[targets.tcp]
listen = \"[::1]:15433\"
REST
[targets.socket]
listen = { unix = \"/run/pg\" }
REST
[targets.zero]
listen = \"127.0.0.1:0\"
REST
";

#[test]
fn a_url_is_printed_for_every_kind_of_listener() {
    let place = Place::new(SEVERAL);
    let url = |words: &[&str]| succeed(&place.command(&[&["url"], words].concat()));
    assert_eq!(url(&["tcp"]), "postgresql://app%20user@[::1]:15433/app%20user?sslmode=disable\n");
    let tail = "@/app%20user?host=%2Frun%2Fpg&port=5432&sslmode=disable\n";
    assert_eq!(url(&["socket"]), format!("postgresql://app%20user{tail}"));
    let tail = "@127.0.0.1:15432/app%20user?sslmode=disable\n";
    assert_eq!(url(&["both"]), format!("postgresql://me:********{tail}"));
    let tail = "@/app%20user?host=%2Frun%2Fmy%20pg&port=6000&sslmode=disable\n";
    assert_eq!(url(&["both", "--socket"]), format!("postgresql://me:********{tail}"));
}

#[test]
fn a_password_is_shown_to_a_person_and_on_demand() {
    let place = Place::new(SEVERAL);
    let shown = succeed(&place.command(&["url", "both", "--show-password"]));
    assert!(shown.starts_with("postgresql://me:it%27s%20%22a%22%20%24pass%60word%5C"), "{shown}");
    let output = limited(&at_terminal(&place.command(&["url", "both"]))).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), shown.trim());
    let masked = place.command(&["url", "both"]).output().unwrap();
    assert!(String::from_utf8(masked.stderr).unwrap().contains("--show-password"));
}

#[test]
fn what_cannot_be_answered_is_said_in_plain_words() {
    let place = Place::new(SEVERAL);
    for command in ["url", "env"] {
        let said = place.refuses(&[command]);
        assert!(said.contains("name one of both, socket, tcp, zero"), "{said}");
        let said = place.refuses(&[command, "tpc"]);
        assert!(said.contains("no target `tpc`; did you mean `tcp`?"), "{said}");
        let said = place.refuses(&[command, "zero"]);
        assert!(said.contains("target zero listens on port 0"), "{said}");
        let said = place.refuses(&[command, "tcp", "--socket"]);
        assert!(said.contains("target tcp listens on no unix socket"), "{said}");
    }
    assert_eq!(pgferry(&["env", "--shell", "tcsh"]).status.code(), Some(64));
}

#[test]
fn a_shell_that_reads_the_settings_has_every_value_as_it_is_and_no_hostile_one() {
    let place = Place::new(SEVERAL);
    let settings = succeed(&place.command(&["env", "both"]));
    for shell in ["sh", "bash"] {
        let mut command = Command::new(shell);
        let print = "eval \"$1\"; printf '%s|' \"$PGPASSWORD\" \"$PGUSER\" \"$PGHOST\" \"$PGPORT\" \
                     \"$PGDATABASE\" \"$PGSSLMODE\" \"${PGSERVICE-unset}\" \"${PGAPPNAME-unset}\"";
        command.args(["-c", print, "sh", &settings]).env("PGSERVICE", "elsewhere");
        command.env("PGAPPNAME", "mine").env("PGSSLMODE", "verify-full");
        let expected = format!("{AWKWARD}|me|127.0.0.1|15432|app user|disable|unset|mine|");
        assert_eq!(succeed(&command), expected, "{shell}");
    }
    let object = succeed(&place.command(&["env", "both", "--shell", "json"]));
    let object: serde_json::Value = serde_json::from_str(&object).unwrap();
    assert_eq!(object["PGPASSWORD"], AWKWARD);
    assert_eq!(object["PGPORT"], "15432");
}

#[test]
fn the_answers_lead_to_a_running_pgferry() {
    let world = World::start();
    let directory = tempfile::tempdir().unwrap();
    let mut target = Target::new("db", &world, Way::Direct, Role::Scram);
    let local = world.secret_file("local", AWKWARD);
    target.listen = format!("[\"127.0.0.1:0\", {{ unix = {:?} }}]", directory.path());
    target.local_auth = format!("{{ kind = \"scram\", password_file = {local:?} }}");
    target.database = world.database_with(", name = \"app\"");
    let running = Pgferry::start(&target.to_string());
    target.listen = target.listen.replace("127.0.0.1:0", running.address("db"));
    let text = target.to_string();
    let place = Place::new(&text);
    let psql = |words: &[&str]| {
        let mut psql = world.postgres.client("psql");
        psql.args(["-X", "-A", "-t", "-c", "select 'there'"]).args(words);
        psql
    };
    for words in [&["url", "--show-password"][..], &["url", "--show-password", "--socket"]] {
        let url = succeed(&place.command(words));
        assert_eq!(succeed(&psql(&[url.trim()])), "there\n", "{url}");
    }
    for words in [&["env", "--shell", "json"][..], &["env", "--shell", "json", "--socket"]] {
        let object: serde_json::Value =
            serde_json::from_str(&succeed(&place.command(words))).unwrap();
        let mut psql = psql(&[]);
        for (name, value) in object.as_object().unwrap() {
            psql.env(name, value.as_str().unwrap());
        }
        assert_eq!(succeed(&psql), "there\n");
    }
    drop(place.directory);
}
