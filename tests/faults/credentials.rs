//! Credentials that do not open the database.

use pgferry_simulators::Role;

use crate::support::client::{Message, Wire};
use crate::support::target::Target;
use crate::support::world::Way;
use crate::{WORLD, assert_serves, at_once, start};

fn with_password_file(name: &str, password: &str) -> (Target, std::path::PathBuf) {
    let file = WORLD.secret_file(name, password);
    let mut target = Target::new("db", &WORLD, Way::Direct, Role::Scram);
    target.credential =
        format!("{{ kind = \"password\", user = \"app_scram\", password_file = {file:?} }}");
    (target, file)
}

#[test]
fn a_wrong_password_is_pgferrys_own_and_the_right_one_counts_without_a_restart() {
    let (target, _file) = with_password_file("wrong", "not the password");
    let pgferry = start("", &[&target]);
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    let words = ["server login", "password authentication failed for user \"app_scram\""];
    fault.assert("db", "28P01", &words, "pgferry's own credential: check [targets.db] credential");
    let series = "pgferry_connect_failures_total{target=\"db\",phase=\"auth\",reason=\"rejected\"}";
    assert_eq!(pgferry.metric(series), Some(1.0), "{}", pgferry.admin("/metrics").1);
    WORLD.secret_file("wrong", WORLD.postgres.password(Role::Scram));
    assert_serves(&pgferry, "db");
}

#[test]
fn a_password_file_that_is_emptied_or_removed_after_the_start_is_named() {
    let password = WORLD.postgres.password(Role::Scram);
    let (target, file) = with_password_file("vanishing", password);
    let pgferry = start("", &[&target]);
    assert_serves(&pgferry, "db");
    let hint = "See [targets.db] credential in the configuration";
    WORLD.secret_file("vanishing", "");
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    fault.assert("db", "28000", &["credentials", file.to_str().unwrap(), "empty"], hint);
    std::fs::remove_file(&file).unwrap();
    let fault = at_once(|| Wire::refused(pgferry.port("db")));
    fault.assert("db", "28000", &["credentials", file.to_str().unwrap(), "No such file"], hint);
    WORLD.secret_file("vanishing", password);
    assert_serves(&pgferry, "db");
}

#[test]
fn an_unknown_database_is_answered_by_the_server_byte_for_byte() {
    let target = Target::new("db", &WORLD, Way::SshLinked, Role::Trust);
    let pgferry = start("", &[&target]);
    let error = |port, user| {
        let mut wire = Wire::start(port, &[("user", user), ("database", "nowhere")]);
        loop {
            let message = wire.next().unwrap().unwrap();
            if message.tag == b'E' {
                return message;
            }
        }
    };
    let through: Message = error(pgferry.port("db"), "me");
    assert_eq!(through, error(WORLD.postgres.port(), "app_trust"));
    let fault = crate::support::client::Fault::parse(&through.body);
    assert_eq!(fault.code, "3D000");
    assert_serves(&pgferry, "db");
}
