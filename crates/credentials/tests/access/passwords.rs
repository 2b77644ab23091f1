//! Passwords from elsewhere, and sources without any.

use std::os::unix::fs::PermissionsExt as _;

use pgferry_credentials::{Location, Password, Proof, Source};

use crate::world::{CROWD, alone, crowd, first, home, told};

fn host() -> Location {
    Location::Host { host: "db.example".to_owned(), port: 5433 }
}

fn of(password: Password) -> Source {
    Source::Password { user: "app".to_owned(), password }
}

fn sh(script: &str) -> Password {
    Password::Command(["sh", "-c", script].map(str::to_owned).into())
}

#[test]
fn the_applications_own_login_and_a_certificate_carry_no_secret() {
    alone(async |world| {
        let access = world.access(host(), Source::Passthrough);
        let mut attempt = access.attempt("jane");
        let offer = attempt.next().await.unwrap().unwrap();
        assert_eq!(offer.lease.user, "jane");
        assert!(matches!(offer.lease.proof, Proof::Application));
        assert!(attempt.next().await.unwrap().is_none());
        let access = world.access(host(), Source::ClientCert { user: "app".to_owned() });
        let offer = first(&access).await.unwrap();
        assert_eq!(offer.lease.user, "app");
        assert!(matches!(offer.lease.proof, Proof::Certificate));
        assert!(world.aws.calls().is_empty());
    });
}

#[test]
fn a_password_that_changed_meanwhile_is_the_next_and_the_same_is_not() {
    alone(async |world| {
        let file = home().join("pw");
        std::fs::write(&file, "old\n").unwrap();
        let access = world.access(host(), of(Password::File(file.clone())));
        let mut attempt = access.attempt("client");
        assert_eq!(attempt.next().await.unwrap().unwrap().lease.proof.secret(), Some("old"));
        std::fs::write(&file, "new\n").unwrap();
        assert_eq!(attempt.next().await.unwrap().unwrap().lease.proof.secret(), Some("new"));
        assert!(attempt.next().await.unwrap().is_none());
        let mut attempt = access.attempt("client");
        attempt.next().await.unwrap().unwrap();
        assert!(attempt.next().await.unwrap().is_none(), "it is the same");
    });
}

#[test]
fn a_crowd_shares_a_run_and_a_refusal_takes_one_more() {
    alone(async |world| {
        let runs = home().join("runs");
        let counted = || std::fs::read_to_string(&runs).unwrap().lines().count();
        let script = format!("echo run >> {0}; wc -l < {0} | tr -d ' '", runs.display());
        let access = world.access(host(), of(sh(&script)));
        crowd(&access, 0).await;
        let shared = counted();
        assert!(shared < CROWD / 2, "{shared} runs");
        let mut attempt = access.attempt("client");
        for _ in 0..2 {
            let number = attempt.next().await.unwrap().unwrap();
            assert_eq!(number.lease.proof.secret(), Some(counted().to_string().as_str()));
        }
        assert!(attempt.next().await.unwrap().is_none());
        assert_eq!(counted(), shared + 2);
    });
}

#[test]
fn a_command_that_fails_is_named() {
    alone(async |world| {
        let error = first(&world.access(host(), of(sh("exit 7")))).await.unwrap_err();
        let (text, hint) = told(&error);
        assert_eq!(text, "sh gave no password: exit status: 7");
        assert!(hint.contains("run sh by hand"), "{hint}");
    });
}

#[test]
fn the_password_file_of_the_home_directory_is_read_for_endpoint_and_database() {
    alone(async |world| {
        let file = home().join(".pgpass");
        let lines = "localhost:*:*:*:no\ndb.example:5433:shop:app:sesame\n*:*:*:app:other\n";
        std::fs::write(&file, lines).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let access = world.access(host(), of(Password::Pgpass(None)));
        let mut attempt = access.attempt("client").to_database("shop");
        assert_eq!(attempt.next().await.unwrap().unwrap().lease.proof.secret(), Some("sesame"));
        assert_eq!(first(&access).await.unwrap().lease.proof.secret(), Some("other"));
        std::fs::remove_file(&file).unwrap();
        let error = first(&access).await.unwrap_err();
        assert!(error.to_string().contains(".pgpass"), "{error}");
    });
}
