//! Databases by name and by host, with all permissions and with few.

use pgferry_simulators::{Aws, Cluster, DbInstance, ServerlessV2};
use serde_json::{Value, json};

use crate::child::Child;

const DOMAIN: &str = "abc123.us-east-1.rds.amazonaws.com";

fn named(name: &str) -> Value {
    json!({ "name": name })
}

fn shop() -> Cluster {
    Cluster::new("shop")
        .reader()
        .reader()
        .custom_endpoint("reports", &["shop-2"])
        .port(5433)
        .database("shop")
        .data_api()
        .managed_secret("arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!cluster-1")
        .serverless(ServerlessV2 {
            min_capacity: 0.0,
            max_capacity: 8.0,
            seconds_until_auto_pause: Some(300),
        })
}

fn world() -> Aws {
    let aws = Aws::start();
    aws.add_cluster(shop());
    aws.add_cluster(Cluster::new("billing").iam(false).status("stopped"));
    aws.add_instance(DbInstance::new("legacy").port(6000).database("old"));
    aws
}

#[test]
fn a_cluster_is_described_whole() {
    let aws = world();
    let found = Child::with_keys(&aws).ask("cluster", &named("shop")).ok();
    let host = |start: &str| format!("{start}-{DOMAIN}");
    let member =
        |name: &str, writer| json!([name, writer, format!("{name}.{DOMAIN}"), "available"]);
    let resource_id = found["resource_id"].as_str().unwrap().to_owned();
    assert!(resource_id.starts_with("cluster-"), "{resource_id}");
    let expected = json!({
        "kind": "Cluster",
        "name": "shop",
        "resource_id": resource_id,
        "postgres": true,
        "status": "available",
        "writer": host("shop.cluster"),
        "reader": host("shop.cluster-ro"),
        "custom": [["reports", host("reports.cluster-custom"), "READER"]],
        "members": [member("shop-1", true), member("shop-2", false), member("shop-3", false)],
        "port": 5433,
        "database": "shop",
        "master_user": "postgres",
        "iam": true,
        "secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!cluster-1",
        "data_api": true,
        "serverless": [0.0, 8.0, 300],
        "cluster": null,
    });
    assert_eq!(found, expected);
}

#[test]
fn what_is_off_is_said_to_be_off() {
    let aws = world();
    let found = Child::with_keys(&aws).ask("cluster", &named("billing")).ok();
    for (field, expected) in [
        ("iam", json!(false)),
        ("data_api", json!(false)),
        ("status", json!("stopped")),
        ("secret_arn", Value::Null),
        ("serverless", Value::Null),
        ("custom", json!([])),
    ] {
        assert_eq!(found[field], expected, "{field}");
    }
}

#[test]
fn an_instance_is_found_alone_and_in_its_cluster() {
    let aws = world();
    let mut child = Child::with_keys(&aws);
    let alone = child.ask("instance", &named("legacy")).ok();
    assert_eq!(alone["kind"], "Instance");
    assert_eq!(alone["writer"], format!("legacy.{DOMAIN}"));
    assert_eq!(alone["port"], 6000);
    assert_eq!(alone["database"], "old");
    assert_eq!(alone["cluster"], Value::Null);
    assert!(alone["resource_id"].as_str().unwrap().starts_with("db-"));
    let member = child.ask("instance", &named("shop-2")).ok();
    assert_eq!(member["cluster"], "shop");
    assert_eq!(member["port"], 5433);
}

#[test]
fn every_endpoint_leads_to_its_database() {
    let aws = world();
    let mut child = Child::with_keys(&aws);
    for host in ["shop.cluster-", "SHOP.cluster-", "shop.cluster-ro-", "reports.cluster-custom-"] {
        let found = child.ask("host", &named(&format!("{host}{DOMAIN}"))).ok();
        assert_eq!(found["name"], "shop", "{host}");
        assert_eq!(found["members"].as_array().unwrap().len(), 3);
    }
    for (host, name) in [("shop-3.", "shop-3"), ("legacy.", "legacy")] {
        let found = child.ask("host", &named(&format!("{host}{DOMAIN}."))).ok();
        assert_eq!(found["name"], name);
    }
}

#[test]
fn a_host_that_belongs_to_nothing_is_not_found() {
    let aws = world();
    let mut child = Child::with_keys(&aws);
    let hosts = [
        format!("shop.cluster-other1.{DOMAIN}"),
        format!("gone.cluster-{DOMAIN}"),
        format!("gone.cluster-custom-{DOMAIN}"),
        format!("gone.{DOMAIN}"),
        "database.internal".to_owned(),
    ];
    for host in hosts {
        let (text, hint) = child.ask("host", &named(&host)).error("NotFound");
        assert!(text.contains(&host) && text.contains("us-east-1"), "{text}");
        assert!(hint.contains("region"), "{hint}");
    }
}

#[test]
fn endpoints_of_other_services_are_not_looked_for() {
    let aws = world();
    let mut child = Child::with_keys(&aws);
    for host in [
        format!("front.proxy-{DOMAIN}"),
        "shop.global-abc123.global.rds.amazonaws.com".to_owned(),
        "foo0bar1baz2.dsql.us-east-1.on.aws".to_owned(),
    ] {
        child.ask("host", &named(&host)).error("Invalid");
    }
    assert_eq!(aws.calls(), []);
}

#[test]
fn pages_are_turned_to_the_end() {
    let aws = world();
    for number in 0..30 {
        aws.add_cluster(Cluster::new(&format!("one-{number}")));
        aws.add_instance(DbInstance::new(&format!("alone-{number}")));
    }
    aws.page_size(20);
    let mut child = Child::with_keys(&aws);
    let (_, hint) = child.ask("cluster", &named("one29")).error("NotFound");
    assert!(hint.starts_with("did you mean one of one-29, "), "{hint}");
    let (_, hint) = child.ask("instance", &named("alone29")).error("NotFound");
    assert!(hint.contains("alone-29"), "{hint}");
    aws.page_size(1);
    let found = child.ask("cluster", &named("shop")).ok();
    assert_eq!(found["members"][2][2], format!("shop-3.{DOMAIN}"));
    assert_eq!(found["custom"][0][2], "READER");
}

#[test]
fn near_names_are_offered() {
    let aws = world();
    let mut child = Child::with_keys(&aws);
    let (text, hint) = child.ask("cluster", &named("shpo")).error("NotFound");
    assert_eq!(text, "there is no cluster shpo in us-east-1");
    assert_eq!(hint, "did you mean shop?");
    let (_, hint) = child.ask("instance", &named("legacey")).error("NotFound");
    assert_eq!(hint, "did you mean legacy?");
    let (_, hint) = child.ask("cluster", &named("warehouse")).error("NotFound");
    assert!(hint.contains("region"), "{hint}");
}

#[test]
fn an_instance_that_is_called_a_cluster_is_told_so() {
    let aws = world();
    let mut child = Child::with_keys(&aws);
    let (_, hint) = child.ask("cluster", &named("legacy")).error("NotFound");
    assert_eq!(hint, "legacy is an instance: write instance instead of cluster");
    let (_, hint) = child.ask("instance", &named("billing")).error("NotFound");
    assert_eq!(hint, "billing is a cluster: write cluster instead of instance");
}

fn limited(aws: &Aws, allow: &[&str]) -> Child {
    aws.add_profile("limited", &aws.add_user("limited", allow)).unwrap();
    Child::with_profile(aws, "limited")
}

#[test]
fn a_cluster_is_found_with_one_permission() {
    let aws = world();
    let found = limited(&aws, &["rds:DescribeDBClusters"]).ask("cluster", &named("shop")).ok();
    assert_eq!(
        found["custom"][0],
        json!(["reports", format!("reports.cluster-custom-{DOMAIN}"), null])
    );
    assert_eq!(found["members"][0], json!(["shop-1", true, null, null]));
    assert_eq!(found["iam"], true);
}

#[test]
fn an_instance_is_found_with_one_permission() {
    let aws = world();
    let mut child = limited(&aws, &["rds:DescribeDBInstances"]);
    assert_eq!(child.ask("instance", &named("shop-1")).ok()["cluster"], "shop");
    let (text, _) = child.ask("cluster", &named("shop")).error("AccessDenied");
    assert!(text.ends_with("may not rds:DescribeDBClusters"), "{text}");
    let (text, _) = child
        .ask("host", &named(&format!("reports.cluster-custom-{DOMAIN}")))
        .error("AccessDenied");
    assert!(text.ends_with("may not rds:DescribeDBClusterEndpoints"), "{text}");
}
