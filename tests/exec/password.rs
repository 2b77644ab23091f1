//! The password of the listener.

use std::fs;
use std::process::Command;

use crate::running::{Running, text};
use crate::stage::Stage;

/// A user that needs no account.
const STRANGER: &str = "61235";

#[test]
fn the_password_is_in_no_process_list_and_in_no_log() {
    let stage = Stage::get();
    let mut exec = stage.exec("tunnel", &["sh", "-c", "env; echo; psql -X -c 'select 1'; read l"]);
    let words: Vec<_> = exec.get_args().map(ToOwned::to_owned).collect();
    let envs: Vec<_> =
        exec.get_envs().map(|(n, v)| (n.to_owned(), v.map(ToOwned::to_owned))).collect();
    let log = stage.world.directory().join("trace.log");
    exec = Command::new("sh");
    exec.args(["-c", "log=$1; shift; exec \"$@\" 2>\"$log\"", "sh"]).arg(&log);
    exec.arg(env!("CARGO_BIN_EXE_pgferry")).args(&words[..2]).args(["--log-level", "trace"]);
    exec.args(&words[2..]);
    for (name, value) in envs {
        match value {
            Some(value) => exec.env(name, value),
            None => exec.env_remove(name),
        };
    }
    let mut child = Running::start(&mut exec);
    let password = child.environment()["PGPASSWORD"].clone();
    assert!(password.len() * 4 >= 192, "{}", password.len());
    child.see("(1 row)");
    let mut seen = 0;
    for entry in fs::read_dir("/proc").unwrap() {
        // A process may end while one looks.
        let Ok(words) = fs::read(entry.unwrap().path().join("cmdline")) else { continue };
        assert!(!text(&words).contains(&password), "{}", text(&words));
        seen += 1;
    }
    assert!(seen > 3, "there is no process list to look at");
    child.end();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    assert!(!log.contains(&password), "{log}");
}

#[test]
fn who_does_not_know_the_password_is_refused_whoever_it_is() {
    // Whoever else came to the database meanwhile would be counted.
    let stage = Stage::alone();
    let mut child = stage.waiting("dev");
    let environment = child.environment();
    let received = "connection received: host=127.0.0.1";
    let before = stage.world.postgres.log().count(received);
    let try_with = |user: Option<&str>, password: &str| {
        let own = stage.world.postgres.client("psql");
        let mut psql = Command::new(own.get_program());
        if let Some(user) = user {
            psql = Command::new("setpriv");
            psql.args(["--reuid", user, "--regid", user, "--clear-groups", "--"]);
            psql.arg(own.get_program());
        }
        let (host, port) = (&environment["PGHOST"], &environment["PGPORT"]);
        psql.arg(format!("host={host} port={port} user=pgferry dbname=app"));
        psql.args(["-X", "-w", "-c", "select 1"]).env("PGPASSWORD", password);
        psql.env("HOME", "/nonexistent").env_remove("PGPASSFILE");
        let output = psql.output().unwrap();
        (output.status.success(), text(&output.stderr))
    };
    // To become somebody else takes root.
    let stranger = rustix::process::geteuid().is_root().then_some(STRANGER);
    for user in [None, stranger] {
        let (entered, said) = try_with(user, "");
        assert!(!entered && said.contains("no password supplied"), "{said}");
        let (entered, said) = try_with(user, "wrong");
        assert!(!entered && said.contains("password authentication failed"), "{said}");
    }
    assert_eq!(stage.world.postgres.log().count(received), before);
    let (entered, said) = try_with(None, &environment["PGPASSWORD"]);
    assert!(entered, "{said}");
    child.end();
}
