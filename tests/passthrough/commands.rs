//! `exec`, `psql`, `url` and `env` for a target without a credential.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use pgferry_simulators::Role;

use crate::stage::Stage;
use crate::support::pgferry::{binary, write_config};
use crate::support::tool::{limited, run, succeed};

/// pgferry with this subcommand for this target, without libpq's variables of the caller.
fn command(stage: &Stage, directory: &tempfile::TempDir, words: &[&str]) -> Command {
    let config = write_config(directory.path(), &stage.config);
    let mut command = binary();
    let path = std::env::var("PATH").unwrap();
    let programs = stage.world.postgres.programs().display();
    command.env("PATH", format!("{programs}:{path}")).env("HOME", directory.path());
    for name in std::env::vars_os().map(|(name, _)| name) {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    let (subcommand, rest) = words.split_first().unwrap();
    command.arg(subcommand).arg("--config").arg(config).args(rest);
    command
}

#[test]
fn exec_and_psql_leave_user_and_password_to_the_client() {
    let stage = Stage::get();
    let directory = tempfile::tempdir().unwrap();
    let password = stage.world.postgres.password(Role::Scram);
    let select = ["psql", "tunnel", "--", "-X", "-A", "-t", "-w", "-c", "select current_user"];
    let mut psql = command(&stage, &directory, &select);
    psql.env("PGUSER", "app_scram").env("PGPASSWORD", password);
    assert_eq!(succeed(&limited(&psql)), "app_scram\n");
    let script = ["exec", "tunnel", "--", "env"];
    let mut exec = command(&stage, &directory, &script);
    exec.env("PGUSER", "app_scram").env("PGPASSWORD", password).env("PGREQUIREAUTH", "!none");
    let said = succeed(&limited(&exec));
    let url = said.lines().find(|line| line.starts_with("DATABASE_URL=")).unwrap();
    assert!(url.starts_with("DATABASE_URL=postgresql://app_scram@127.0.0.1:"), "{url}");
    assert!(!url.contains(password) && url.ends_with("/app?sslmode=disable"), "{url}");
    assert!(said.contains(&format!("PGPASSWORD={password}\n")), "it is the caller's own: {said}");
    assert!(said.contains("PGREQUIREAUTH=!none\n"), "{said}");
}

#[test]
fn the_password_file_at_home_works_beneath_exec() {
    let stage = Stage::get();
    let directory = tempfile::tempdir().unwrap();
    let password = stage.world.postgres.password(Role::Scram);
    let file = directory.path().join(".pgpass");
    fs::write(&file, format!("127.0.0.1:*:app:app_scram:{password}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let select = ["-X", "-A", "-t", "-w", "-U", "app_scram", "-c", "select current_user"];
    let words = [&["psql", "tunnel", "--"][..], &select].concat();
    // libpq goes by the account's home, not by HOME, before PostgreSQL 15's successors.
    let mut psql = command(&stage, &directory, &words);
    psql.env("PGPASSFILE", &file);
    assert_eq!(succeed(&limited(&psql)), "app_scram\n");
    fs::write(&file, "").unwrap();
    let output = run(&psql);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no password supplied"), "{said}");
    assert_eq!(said.lines().count(), 1, "nothing of pgferry's beside it: {said}");
}

#[test]
fn url_and_env_name_neither_user_nor_password() {
    let stage = Stage::get();
    let directory = tempfile::tempdir().unwrap();
    let text = "[targets.dev]\nlisten = \"127.0.0.1:15432\"\ndatabase = { host = \"db.example\" }\n\
                credential = { kind = \"passthrough\" }\n";
    let config = write_config(directory.path(), text);
    let of = |subcommand: &str| {
        let mut command = command(&stage, &directory, &[subcommand]);
        fs::write(&config, text).unwrap();
        succeed(command.env_remove("PGUSER"))
    };
    assert_eq!(of("url"), "postgresql://127.0.0.1:15432/?sslmode=disable\n");
    let env = of("env");
    assert!(!env.contains("PGUSER") && !env.contains("PGPASSWORD"), "{env}");
    assert!(!env.contains("PGPASSFILE") && env.contains("PGSERVICE"), "{env}");
}
