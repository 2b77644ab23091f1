//! What AWS refuses, in words.

use pgferry_simulators::{Aws, Fault};
use serde_json::json;

use crate::child::Child;

const CLUSTERS: &str = "rds:DescribeDBClusters";

#[test]
fn another_region_is_named() {
    let aws = Aws::start_in("eu-central-1");
    let mut child = Child::with_keys(&aws);
    let (text, hint) = child.ask("who", &json!({"region": "us-east-1"})).error("WrongRegion");
    assert!(text.contains("wrong region") && text.contains("us-east-1"), "{text}");
    assert!(hint.contains("name of its endpoint"), "{hint}");
}

/// The SDK signs again with the time of the reply; tokens for databases have no reply to learn from.
#[test]
fn a_wrong_clock_does_not_keep_calls_from_aws() {
    let aws = Aws::start();
    aws.clock().set_offset(3600);
    Child::with_keys(&aws).who().ok();
    let errors: Vec<_> = aws.calls().into_iter().map(|call| call.error).collect();
    assert_eq!(errors, [Some("SignatureDoesNotMatch".to_owned()), None]);
}

#[test]
fn a_clock_that_stays_wrong_is_told_with_its_distance() {
    let aws = Aws::start();
    let role = aws.add_role("reader", None, &["*"]);
    let expired = Fault::Error {
        status: 403,
        code: "SignatureDoesNotMatch",
        message: "Signature expired: 20270203T040506Z is now earlier than 20270203T050506Z",
    };
    let mut child = Child::with_keys(&aws);
    for (ahead, words) in [(3630, "1 h 0 min behind AWS's"), (-1830, "30 min ahead of AWS's")] {
        aws.clock().set_offset(ahead);
        aws.inject("sts:GetCallerIdentity", expired.clone(), 3);
        let (text, hint) = child.who().error("ClockSkew");
        assert!(text.contains(words) && text.contains("sts:GetCallerIdentity"), "{text}");
        assert!(hint.contains("set the clock"), "{hint}");
        aws.inject("sts:AssumeRole", expired.clone(), 3);
        let (text, _) = child.ask("who", &json!({"role": role})).error("ClockSkew");
        assert!(text.contains(words) && text.contains("sts:AssumeRole"), "{text}");
    }
}

#[test]
fn a_denial_names_the_missing_action() {
    let aws = Aws::start();
    aws.add_profile("limited", &aws.add_user("limited", &["sts:*"])).unwrap();
    let mut child = Child::with_profile(&aws, "limited");
    let (text, hint) = child
        .ask("cluster", &json!({"name": "shop"}))
        .error("AccessDenied { action: \"rds:DescribeDBClusters\"");
    assert_eq!(
        text,
        "your AWS identity (profile limited, us-east-1) may not rds:DescribeDBClusters"
    );
    assert_eq!(hint, "allow rds:DescribeDBClusters to this identity in IAM");
}

#[test]
fn a_denial_to_an_assumed_role_blames_the_role() {
    let aws = Aws::start();
    let role = aws.add_role("blind", None, &["sts:*"]);
    let mut child = Child::with_keys(&aws);
    let (text, _) =
        child.ask("cluster", &json!({"name": "shop", "role": role})).error("AccessDenied");
    assert_eq!(text, "the assumed role (us-east-1) may not rds:DescribeDBClusters");
}

#[test]
fn throttling_is_waited_out_and_told_when_it_lasts() {
    let aws = Aws::start();
    aws.add_cluster(pgferry_simulators::Cluster::new("shop"));
    let mut child = Child::with_keys(&aws);
    aws.inject(CLUSTERS, Fault::Throttle, 2);
    child.ask("cluster", &json!({"name": "shop"})).ok();
    assert_eq!(aws.count(CLUSTERS), 3);
    aws.inject(CLUSTERS, Fault::Throttle, 3);
    let (text, hint) = child.ask("cluster", &json!({"name": "shop"})).error("Throttled");
    assert!(text.starts_with("AWS asks for fewer requests: rds:DescribeDBClusters"), "{text}");
    assert_eq!(hint, "try again in a while");
    assert_eq!(aws.count(CLUSTERS), 6);
}

#[test]
fn an_outage_is_tried_again_and_quoted_when_it_lasts() {
    let aws = Aws::start();
    let mut child = Child::with_keys(&aws);
    aws.inject("sts:GetCallerIdentity", Fault::Unavailable, 1);
    aws.inject("sts:GetCallerIdentity", Fault::Drop, 1);
    child.who().ok();
    aws.inject("sts:GetCallerIdentity", Fault::Internal, 3);
    let (text, _) = child.who().error("Other");
    assert!(
        text.contains("sts:GetCallerIdentity failed") && text.contains("InternalFailure"),
        "{text}"
    );
}

#[test]
fn a_key_that_aws_does_not_know_is_invalid() {
    let aws = Aws::start();
    let other = Aws::start();
    aws.add_profile("old", other.credentials()).unwrap();
    let mut child = Child::with_profile(&aws, "old");
    let (text, hint) = child.who().error("Invalid");
    assert!(text.starts_with("AWS does not know the access key"), "{text}");
    assert!(hint.contains("deleted"), "{hint}");
}

#[test]
fn a_secret_key_of_another_access_key_is_invalid() {
    let aws = Aws::start();
    let mut mixed = aws.credentials().clone();
    mixed.secret_access_key = aws.add_user("other", &[]).secret_access_key;
    aws.add_profile("mixed", &mixed).unwrap();
    let mut child = Child::with_profile(&aws, "mixed");
    let (text, hint) = child.who().error("Invalid");
    assert!(text.starts_with("AWS refused the signature"), "{text}");
    assert!(hint.contains("does not belong"), "{hint}");
}
