//! What libpq says about it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::stage::{PASSWORD, Stage, assert_fails, failures};
use crate::support::tool::{limited, succeed};

fn select(mut psql: Command) -> String {
    succeed(psql.args(["-c", "select 'served'"]))
}

#[test]
fn every_sslmode_is_served_and_verified() {
    let stage = Stage::get();
    let ca = stage.ca_file.display();
    for mode in ["disable", "allow", "prefer", "require"] {
        assert_eq!(select(stage.psql("open", &format!("sslmode={mode}"))), "served\n");
    }
    for mode in ["verify-ca", "verify-full"] {
        let more = format!("sslmode={mode} sslrootcert={ca}");
        assert_eq!(select(stage.psql("open", &more)), "served\n");
        for version in ["TLSv1.2", "TLSv1.3"] {
            let pinned = format!(
                "{more} ssl_min_protocol_version={version} ssl_max_protocol_version={version}"
            );
            let said = succeed(stage.psql("open", &pinned).args(["-c", "\\conninfo"]));
            // A sentence up to psql 17, a table since 18.
            let (old, new) = (format!("protocol: {version},"), format!("SSL Protocol|{version}\n"));
            assert!(said.contains(&old) || said.contains(&new), "{said}");
        }
    }
    let old = "sslmode=require ssl_min_protocol_version=TLSv1.1 ssl_max_protocol_version=TLSv1.1";
    assert_fails(&stage.psql("open", old), &["error"]);
}

#[test]
fn a_certificate_for_another_name_or_of_an_unknown_authority_is_refused_by_the_client() {
    let stage = Stage::get();
    let ca = stage.ca_file.display();
    let wrong = format!("sslmode=verify-full sslrootcert={ca}");
    let words = ["server certificate for \"elsewhere.example\"", "does not match host name"];
    assert_fails(&stage.psql("elsewhere", &wrong), &words);
    let other = stage.world.postgres.ca_file();
    let unknown = format!("sslmode=verify-full sslrootcert={}", other.display());
    let before = stage.failures("open", "local_tls_untrusted").unwrap_or(0.0);
    assert_fails(&stage.psql("open", &unknown), &["certificate verify failed"]);
    stage.pgferry.await_metric(&failures("open", "local_tls_untrusted"), before + 1.0);
    let line = "the client refuses the certificate (UnknownCA): check its sslrootcert";
    assert!(stage.pgferry.log().count(line) >= 1);
}

#[test]
fn without_a_certificate_the_answer_is_no() {
    let stage = Stage::get();
    assert_fails(&stage.psql("plain", "sslmode=require"), &["server does not support SSL"]);
    assert_eq!(select(stage.psql("plain", "sslmode=prefer")), "served\n");
}

#[test]
fn where_it_is_required_a_session_in_the_clear_is_refused() {
    let stage = Stage::get();
    let words = ["target \"required\": local login:", "no encryption", "HINT", "sslmode=require"];
    assert_fails(&stage.psql("required", "sslmode=disable"), &words);
    for mode in ["prefer", "require"] {
        assert_eq!(select(stage.psql("required", &format!("sslmode={mode}"))), "served\n");
    }
}

#[test]
fn a_local_password_is_bound_to_the_certificate() {
    let stage = Stage::get();
    for binding in ["disable", "prefer", "require"] {
        let more = format!("sslmode=require channel_binding={binding} password='{PASSWORD}'");
        assert_eq!(select(stage.psql("scram", &more)), "served\n", "{binding}");
    }
    let wrong = "sslmode=require channel_binding=require password=wrong";
    assert_fails(&stage.psql("scram", wrong), &["password authentication failed", "HINT"]);
    let plain = format!("sslmode=disable channel_binding=require password='{PASSWORD}'");
    assert_fails(&stage.psql("scram", &plain), &["channel binding required"]);
}

#[test]
fn much_data_goes_both_ways() {
    let stage = Stage::get();
    let rows = 300_000;
    let line = |number: u32| format!("{number}\t{}\n", "x".repeat(100));
    let data: String = (0..rows).map(line).collect();
    stage.world.postgres.query("create table tls_copy (a int, b text)").unwrap();
    stage.world.postgres.query("grant all on tls_copy to public").unwrap();
    let mut copy =
        limited(stage.psql("open", "sslmode=require").args(["-c", "copy tls_copy from stdin"]))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
    copy.stdin.take().unwrap().write_all(data.as_bytes()).unwrap();
    assert!(copy.wait().unwrap().success());
    let out = "copy (select * from tls_copy order by a) to stdout";
    let back = succeed(stage.psql("open", "sslmode=require").args(["-c", out]));
    assert!(back == data, "{} bytes instead of {}", back.len(), data.len());
}

#[test]
fn pgbench_runs_over_it() {
    let stage = Stage::get();
    let port = stage.pgferry.port("required").to_string();
    let script = stage.world.directory().join("tls.sql");
    std::fs::write(&script, "select :client_id, repeat('x', 10000);\n").unwrap();
    let mut pgbench = stage.world.postgres.client("pgbench");
    pgbench.args(["-n", "-c", "4", "-j", "2", "-t", "50", "-M", "prepared", "-f"]).arg(&script);
    pgbench.args(["-h", "localhost", "-p", &port, "-U", "me", "app"]);
    pgbench.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", &stage.ca_file);
    let said = succeed(&pgbench);
    assert!(said.contains("number of transactions actually processed: 200/200"), "{said}");
}
