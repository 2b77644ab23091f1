//! Answers that are wrong on purpose, and what a child process is told.

use std::{io, thread, time::Duration};

use pgferry_simulators::{Aws, Fault, sigv4::sign};

use crate::client::{call, json, query, send};

const LIMIT: Duration = Duration::from_secs(20);
const DESCRIBE: [(&str, &str); 1] = [("Action", "DescribeDBClusters")];

#[test]
fn a_fault_lasts_as_often_as_it_was_asked_for() {
    let aws = Aws::start();
    aws.inject("rds:DescribeDBClusters", Fault::Throttle, 2);
    let told = || call(&aws, aws.credentials(), "rds", query("rds", &DESCRIBE));
    assert_eq!(told().error(), (400, "Throttling".to_owned()));
    assert_eq!(told().error(), (400, "Throttling".to_owned()));
    assert_eq!(told().status, 200);
    assert_eq!(aws.count("rds:DescribeDBClusters"), 3);
    assert_eq!(aws.calls()[0].error.as_deref(), Some("Throttling"));
}

#[test]
fn faults_speak_the_protocol_of_the_service() {
    let aws = Aws::start();
    let decryption = Fault::Error {
        status: 400,
        code: "DecryptionFailure",
        message: "Secrets Manager can't decrypt the protected secret text.",
    };
    let action = "secretsmanager:GetSecretValue";
    for (fault, expected) in [
        (Fault::Throttle, (400, "ThrottlingException")),
        (Fault::Internal, (500, "InternalServiceError")),
        (Fault::Unavailable, (503, "ServiceUnavailable")),
        (decryption, (400, "DecryptionFailure")),
    ] {
        aws.inject(action, fault, 1);
        let reply = call(&aws, aws.credentials(), "secretsmanager", json("GetSecretValue", "{}"));
        assert_eq!(reply.error(), (expected.0, expected.1.to_owned()));
    }
}

#[test]
fn a_dropped_connection_carries_no_answer() {
    let aws = Aws::start();
    aws.inject("rds:DescribeDBClusters", Fault::Drop, 1);
    let mut request = query("rds", &DESCRIBE);
    sign(&mut request, aws.credentials(), aws.region(), "rds", aws.clock().now());
    let error = send(&aws, &request).unwrap_err();
    let kinds = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
    assert!(kinds.contains(&error.kind()), "{error}");
    assert_eq!(send(&aws, &request).unwrap().status, 200);
}

#[test]
fn a_call_that_hangs_is_served_when_released() {
    let aws = Aws::start();
    aws.inject("rds:DescribeDBClusters", Fault::Hang, 1);
    let status = thread::scope(|scope| {
        let hanging =
            scope.spawn(|| call(&aws, aws.credentials(), "rds", query("rds", &DESCRIBE)).status);
        assert!(aws.wait_for_calls("rds:DescribeDBClusters", 1, LIMIT));
        assert!(!hanging.is_finished());
        aws.release();
        hanging.join().unwrap()
    });
    assert_eq!(status, 200);
    assert!(!aws.wait_for_calls("rds:DescribeDBClusters", 2, Duration::from_millis(20)));
}

#[test]
fn a_child_process_is_told_where_everything_is() {
    let aws = Aws::start_in("eu-central-1");
    let envs = aws.envs();
    let told = |name| envs.iter().find(|(other, _)| *other == name).map(|(_, it)| it.as_str());
    assert_eq!(told("AWS_ENDPOINT_URL"), Some(aws.endpoint_url().as_str()));
    assert_eq!(told("AWS_REGION"), Some("eu-central-1"));
    assert_eq!(told("AWS_EC2_METADATA_DISABLED"), Some("true"));
    let key = told("AWS_ACCESS_KEY_ID").unwrap();
    assert_eq!(key, aws.credentials().access_key_id);
    aws.add_profile("dev", aws.credentials()).unwrap();
    aws.add_config("profile dev", &[("region", "eu-central-1")]).unwrap();
    aws.add_sso_profile("corp", "corp", ("111122223333", "Reader")).unwrap();
    let read = |name| std::fs::read_to_string(told(name).unwrap()).unwrap();
    assert!(read("AWS_SHARED_CREDENTIALS_FILE").starts_with("[dev]\naws_access_key_id = AKIA"));
    let config = read("AWS_CONFIG_FILE");
    for section in ["[profile dev]", "[profile corp]", "[sso-session corp]"] {
        assert!(config.contains(section), "{config}");
    }
    assert_eq!(aws.envs_without_keys().len() + 2, envs.len());
}
