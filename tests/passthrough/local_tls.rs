//! Logins inside TLS with the application, and libpq's demands on channel binding.

use pgferry_simulators::Role;

use crate::stage::{Stage, assert_fails, user};
use crate::support::PATIENCE;

/// What pgferry logs when it does SCRAM itself.
const OWN: &str = "logging in mechanism=";

#[test]
fn a_client_in_tls_is_asked_for_its_password_and_pgferry_binds_the_login() {
    let stage = Stage::get();
    for more in ["", "sslmode=require", "sslmode=require channel_binding=disable"] {
        let mark = stage.pgferry.log().mark();
        assert_eq!(user(stage.psql_as("open", Role::Scram, more)), "app_scram");
        let line = stage.pgferry.log().wait_for_after(mark, OWN, PATIENCE).unwrap();
        assert!(line.contains("SCRAM-SHA-256-PLUS"), "{line}");
    }
    let verified = format!("sslmode=verify-full sslrootcert='{}'", stage.ca_file.to_str().unwrap());
    for role in [Role::Scram, Role::Md5, Role::Cleartext, Role::Trust] {
        assert_eq!(user(stage.psql_as("open", role, &verified)), role.name());
    }
    let wrong = stage.psql("open", "app_scram", Some("wrong"), "sslmode=require");
    assert_fails(wrong, &["password authentication failed for user \"app_scram\""]);
}

#[test]
fn a_client_in_the_clear_on_the_same_target_proves_its_password_without_sending_it() {
    let stage = Stage::get();
    let more = "sslmode=disable channel_binding=disable";
    assert_eq!(user(stage.psql_as("open", Role::Scram, more)), "app_scram");
    let method = "connection authenticated: identity=\"app_scram\" method=scram-sha-256";
    stage.world.postgres.log().wait_for(method, PATIENCE).unwrap();
}

#[test]
fn scram_is_carried_out_of_local_tls_where_the_database_has_none() {
    let stage = Stage::get();
    for binding in ["disable", "prefer"] {
        let more = format!("sslmode=require channel_binding={binding}");
        assert_eq!(user(stage.psql_as("bare_open", Role::Scram, &more)), "app_scram");
    }
}

#[test]
fn a_demand_for_channel_binding_is_refused_by_the_client_itself() {
    let stage = Stage::get();
    for (target, mode) in [("open", "require"), ("bare_open", "require"), ("plain", "disable")] {
        let more = format!("sslmode={mode} channel_binding=require");
        assert_fails(stage.psql_as(target, Role::Scram, &more), &["channel binding"]);
    }
    for target in ["plain", "bare"] {
        assert_eq!(user(stage.psql_as(target, Role::Scram, "channel_binding=prefer")), "app_scram");
    }
}
