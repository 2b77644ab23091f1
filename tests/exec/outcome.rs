//! Output and exit code.

use std::fs;
use std::process::{Command, Output};

use crate::running::text;
use crate::stage::Stage;
use crate::support::tool::run;

#[test]
fn output_and_exit_code_are_those_that_a_shell_gives() {
    let stage = Stage::get();
    let file = stage.world.directory().join("not-executable");
    fs::write(&file, "").unwrap();
    let scripts: [&[&str]; 8] = [
        &["true"],
        &["sh", "-c", "echo out; echo err >&2; exit 7"],
        &["sh", "-c", "exit 255"],
        &["sh", "-c", "kill -TERM $$"],
        &["sh", "-c", "kill -KILL $$"],
        &["sh", "-c", "kill -INT $$"],
        &["no-such-command", "argument"],
        &[file.to_str().unwrap()],
    ];
    for words in scripts {
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$@\"; exit $?", "sh"]).args(words);
        let (shell, ours) = (run(&shell), run(&stage.exec("dev", words)));
        assert_eq!(ours.status.code(), shell.status.code(), "{words:?}: {ours:?}, {shell:?}");
        assert_eq!(text(&ours.stdout), text(&shell.stdout), "{words:?}");
        if ours.status.code() == Some(7) {
            assert_eq!(text(&ours.stderr), text(&shell.stderr), "{words:?}");
        }
    }
    let found = |code, output: Output, words: &str| {
        assert_eq!(output.status.code(), Some(code));
        assert!(text(&output.stderr).contains(words), "{output:?}");
    };
    found(127, run(&stage.exec("dev", &["no-such-command"])), "no-such-command: command not found");
    let mut psql = stage.command("psql", "dev", &[]);
    let output = psql.env("PATH", "/nonexistent").output().unwrap();
    found(127, output, "psql: command not found; it is in the package postgresql-client");
}

#[test]
fn a_target_that_does_not_work_is_told_by_the_client() {
    let stage = Stage::get();
    let output = run(&stage.command("psql", "broken", &["-X", "-c", "select 1"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("FATAL:  ") && said.contains("HINT:  "), "{said}");
    let own = said.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR "));
    assert!(own.count() <= 1, "{said}");
}
