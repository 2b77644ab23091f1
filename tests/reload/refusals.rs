//! What is wrong is named, and then nothing changes.

use std::net::TcpListener;

use pgferry_simulators::Role;

use crate::support::client::Wire;
use crate::support::pgferry::Pgferry;
use crate::support::target::Target;
use crate::{apply, config, reloads, start, target, user, world};

/// Asserts that the configuration is refused with these words, and that the target serves on.
fn assert_refused(pgferry: &mut Pgferry, config: &str, words: &[&str]) {
    let port = pgferry.port("db");
    let refused = reloads(pgferry, "refused").unwrap();
    let verdict = pgferry.reload(config);
    assert!(verdict.contains("not reloaded, nothing has changed: "), "{verdict}");
    for word in words {
        assert!(verdict.contains(word), "{word:?} is not in {verdict}");
    }
    assert_eq!(user(port), Role::Scram.name());
    assert_eq!(reloads(pgferry, "refused"), Some(refused + 1.0));
    assert_eq!(pgferry.admin("/readiness").0, 200);
}

#[test]
fn every_fault_is_named_and_changes_nothing() {
    let world = world();
    let db = target("db", &world);
    let mut pgferry = start(&[&db]);
    let mut session = Wire::open(pgferry.port("db")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let changed = |change: &dyn Fn(&mut Target)| {
        let (mut db, mut new) = (db.clone(), target("new", &world));
        db.credential = world.credential(Role::Md5);
        change(&mut new);
        config(&[&db, &new])
    };
    let cases: [(String, &[&str]); 6] = [
        ("[targets.db\n".to_owned(), &["pgferry.toml:1"]),
        (
            format!("{}lissten = 1\n", config(&[&db])),
            &["targets.db", "lissten", "did you mean `listen`"],
        ),
        (
            changed(&|new| {
                new.credential = new
                    .credential
                    .replace("app_scram\"", "no_such\"")
                    .replace("/app_scram", "/no_such");
            }),
            &["targets.new.credential.password_file", "no_such"],
        ),
        (
            changed(&|new| new.transport = "{ kind = \"ssh\", host = \"\" }".to_owned()),
            &["transport new", "ssh"],
        ),
        (
            changed(&|new| new.transport = "{ kind = \"nonesuch\" }".to_owned()),
            &["transport new", "nonesuch"],
        ),
        (changed(&|new| new.listen = format!("{address:?}")), &["\"new\"", &address, "in use"]),
    ];
    for (config, words) in cases {
        assert_refused(&mut pgferry, &config, words);
    }
    assert_eq!(session.query("select 1").unwrap(), ["1"]);
    apply(&mut pgferry, &[&db], "1 unchanged");
}

#[test]
fn a_selected_target_that_is_gone_is_an_error_and_others_are_not_served() {
    let world = world();
    let (db, other) = (target("db", &world), target("other", &world));
    let whole = config(&[&db]);
    let mut pgferry = Pgferry::start_with(&whole, |command| {
        command.arg("db");
    });
    apply(&mut pgferry, &[&db, &other], "1 unchanged");
    assert_refused(&mut pgferry, &config(&[&other]), &["no target `db`"]);
}

#[test]
fn what_needs_a_restart_is_said_and_the_rest_is_done() {
    let world = world();
    let (db, new) = (target("db", &world), target("new", &world));
    let mut pgferry = start(&[&db]);
    let other = config(&[&db, &new]).replace(":0\"\n[targets.db]", ":1\"\n[targets.db]");
    let verdict = pgferry.reload(&format!("{other}[relay]\nthreads = 7\n"));
    assert!(verdict.ends_with("reloaded: added new; 1 unchanged"), "{verdict}");
    let log = pgferry.log().text();
    for key in ["admin.listen", "relay.threads"] {
        assert!(log.contains(&format!("{key} has changed: that needs a restart")), "{log}");
    }
    assert_eq!(user(pgferry.port("new")), Role::Scram.name());
}
