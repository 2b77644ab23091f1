//! Who may call, and as whom.

use std::time::Duration;

use pgferry_simulators::{
    Aws,
    sigv4::{Credentials, Request, presign, sign},
};

use crate::client::{Reply, call, json, query, send};

const WHO: [(&str, &str); 1] = [("Action", "GetCallerIdentity")];

#[test]
fn a_signed_call_is_answered_with_the_identity_behind_the_key() {
    let aws = Aws::start();
    let reply = call(&aws, aws.credentials(), "sts", query("sts", &WHO));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.element("Arn"), Some("arn:aws:iam::123456789012:user/somebody"));
    assert_eq!(reply.element("Account"), Some(aws.account()));
    let calls = aws.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].action, "sts:GetCallerIdentity");
    assert_eq!(calls[0].access_key_id.as_ref(), Some(&aws.credentials().access_key_id));
    assert_eq!((calls[0].region.as_deref(), &calls[0].error), (Some("us-east-1"), &None));
}

#[test]
fn each_wrong_signature_gets_the_code_of_its_protocol() {
    let aws = Aws::start();
    let right = aws.credentials().clone();
    let stranger =
        Credentials { access_key_id: "AKIANOBODYATALL00000".to_owned(), ..right.clone() };
    let liar = Credentials { secret_access_key: "guessed".to_owned(), ..right.clone() };
    let ended = aws.add_session("gone", Duration::from_mins(15), &["*"]);
    aws.end_session(&ended.access_key_id);
    let tokenless = aws.add_session("here", Duration::from_mins(15), &["*"]);
    let tokenless = Credentials { session_token: None, ..tokenless };
    let now = aws.clock().now();
    let mismatch = ("SignatureDoesNotMatch", "InvalidSignatureException");
    let unknown = ("InvalidClientTokenId", "UnrecognizedClientException");
    let cases = [
        (&stranger, "us-east-1", None, now, unknown),
        (&tokenless, "us-east-1", None, now, unknown),
        (&liar, "us-east-1", None, now, mismatch),
        (&ended, "us-east-1", None, now, ("ExpiredToken", "ExpiredTokenException")),
        (&right, "eu-central-1", None, now, mismatch),
        (&right, "us-east-1", Some("ec2"), now, mismatch),
        (&right, "us-east-1", None, now - 360, mismatch),
        (&right, "us-east-1", None, now + 360, mismatch),
    ];
    for (credentials, region, service, time, (xml_code, json_code)) in cases {
        let signed = |mut request: Request, own: &str| {
            sign(&mut request, credentials, region, service.unwrap_or(own), time);
            send(&aws, &request).unwrap().error()
        };
        assert_eq!(signed(query("sts", &WHO), "sts"), (403, xml_code.to_owned()), "{region}");
        let describe = query("rds", &[("Action", "DescribeDBClusters")]);
        assert_eq!(signed(describe, "rds"), (403, xml_code.to_owned()), "{region}");
        let secret = json("GetSecretValue", r#"{"SecretId":"a"}"#);
        assert_eq!(signed(secret, "secretsmanager"), (400, json_code.to_owned()), "{region}");
    }
}

#[test]
fn an_unsigned_call_is_refused() {
    let aws = Aws::start();
    let reply = send(&aws, &query("sts", &WHO)).unwrap();
    assert_eq!(reply.error(), (403, "MissingAuthenticationToken".to_owned()));
    let reply = send(&aws, &json("GetSecretValue", "{}")).unwrap();
    assert_eq!(reply.error(), (400, "MissingAuthenticationTokenException".to_owned()));
    assert_eq!(aws.calls()[0].access_key_id, None);
}

#[test]
fn a_clock_that_is_wrong_shows_in_the_words_and_in_the_date() {
    let aws = Aws::start();
    let told = aws.clock().now();
    aws.clock().advance(Duration::from_hours(1));
    let mut request = query("sts", &WHO);
    sign(&mut request, aws.credentials(), "us-east-1", "sts", told);
    let reply = send(&aws, &request).unwrap();
    let message = reply.element("Message").unwrap();
    assert!(message.starts_with("Signature expired: "), "{message}");
    let date = reply.head.lines().find_map(|line| line.strip_prefix("date: ")).unwrap();
    let date = httpdate::parse_http_date(date).unwrap();
    let ahead = date.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - told;
    assert!((3600..3660).contains(&ahead), "{ahead}");
    aws.clock().set_offset(0);
    assert_eq!(send(&aws, &request).unwrap().status, 200);
}

#[test]
fn an_assumed_role_has_its_own_name_rights_and_end() {
    let aws = Aws::start();
    let role = aws.add_role("reader", Some("42"), &["rds:Describe*"]);
    let assume = |external_id: &str, seconds: &str| {
        let parameters = [
            ("Action", "AssumeRole"),
            ("RoleArn", role.as_str()),
            ("RoleSessionName", "me"),
            ("ExternalId", external_id),
            ("DurationSeconds", seconds),
        ];
        call(&aws, aws.credentials(), "sts", query("sts", &parameters))
    };
    assert_eq!(assume("41", "900").error(), (403, "AccessDenied".to_owned()));
    assert_eq!(assume("42", "899").error(), (400, "ValidationError".to_owned()));
    assert_eq!(assume("42", "3601").error(), (400, "ValidationError".to_owned()));
    let session = session(&assume("42", "900"));
    let arn = "arn:aws:sts::123456789012:assumed-role/reader/me";
    let who = call(&aws, &session, "sts", query("sts", &WHO));
    assert_eq!(who.element("Arn"), Some(arn));
    let describe = || query("rds", &[("Action", "DescribeDBClusters")]);
    assert_eq!(call(&aws, &session, "rds", describe()).status, 200);
    let secret = json("GetSecretValue", r#"{"SecretId":"a"}"#);
    let denied = call(&aws, &session, "secretsmanager", secret);
    assert_eq!(denied.error(), (400, "AccessDeniedException".to_owned()));
    aws.clock().advance(Duration::from_secs(901));
    let late = call(&aws, &session, "rds", describe());
    assert_eq!(late.error(), (403, "ExpiredToken".to_owned()));
}

#[test]
fn only_who_may_assume_a_role_does() {
    let aws = Aws::start();
    let role = aws.add_role("open", None, &["*"]);
    let nobody = aws.add_user("nobody", &[]);
    let parameters =
        [("Action", "AssumeRole"), ("RoleArn", role.as_str()), ("RoleSessionName", "me")];
    let reply = call(&aws, &nobody, "sts", query("sts", &parameters));
    assert_eq!(
        reply.element("Message").unwrap(),
        "User: arn:aws:iam::123456789012:user/nobody is not authorized to perform: \
         sts:AssumeRole on resource: arn:aws:iam::123456789012:role/open"
    );
    aws.allow_only(&nobody.access_key_id, &["sts:AssumeRole"]);
    assert_eq!(call(&aws, &nobody, "sts", query("sts", &parameters)).status, 200);
}

#[test]
fn a_web_identity_needs_its_token_and_no_signature() {
    let aws = Aws::start();
    let role = aws.add_web_identity_role("pod", "the token", &["*"]);
    let assume = |token| {
        let parameters = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", role.as_str()),
            ("RoleSessionName", "pod"),
            ("WebIdentityToken", token),
        ];
        send(&aws, &query("sts", &parameters)).unwrap()
    };
    assert_eq!(assume("another").error(), (400, "InvalidIdentityToken".to_owned()));
    let session = session(&assume("the token"));
    assert_eq!(call(&aws, &session, "sts", query("sts", &WHO)).status, 200);
}

#[test]
fn a_presigned_call_holds_for_a_quarter_of_an_hour() {
    let aws = Aws::start();
    let presigned = |life| {
        let host = "localhost";
        let parameters = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
        let times = (aws.clock().now(), life);
        let query = presign(host, &parameters, aws.credentials(), ("us-east-1", "sts"), times);
        let headers = vec![("host".to_owned(), host.to_owned())];
        Request { method: "GET".to_owned(), path: "/".to_owned(), query, headers, body: Vec::new() }
    };
    let request = presigned(900);
    assert_eq!(send(&aws, &request).unwrap().status, 200);
    let mismatch = (403, "SignatureDoesNotMatch".to_owned());
    assert_eq!(send(&aws, &presigned(901)).unwrap().error(), mismatch);
    aws.clock().advance(Duration::from_mins(16));
    assert_eq!(send(&aws, &request).unwrap().error(), mismatch);
}

#[test]
fn unknown_actions_are_unknown_in_every_protocol() {
    let aws = Aws::start();
    for service in ["sts", "rds"] {
        let request = query(service, &[("Action", "MakeCoffee")]);
        let reply = call(&aws, aws.credentials(), service, request);
        assert_eq!(reply.error(), (400, "InvalidAction".to_owned()));
    }
    let reply = call(&aws, aws.credentials(), "secretsmanager", json("MakeCoffee", "{}"));
    assert_eq!(reply.error(), (400, "UnknownOperationException".to_owned()));
}

fn session(reply: &Reply) -> Credentials {
    let element = |name| reply.element(name).unwrap().to_owned();
    Credentials {
        access_key_id: element("AccessKeyId"),
        secret_access_key: element("SecretAccessKey"),
        session_token: Some(element("SessionToken")),
    }
}
