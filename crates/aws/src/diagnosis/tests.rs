use super::*;
use crate::profiles::Login;

const CALL: Call = Call { service: "rds", action: "DescribeDBClusters" };

fn dev() -> Whose {
    Whose {
        profile: Some("dev".into()),
        region: Some("eu-west-1".into()),
        profiles: vec!["dev".into(), "prod".into()],
        ..Whose::default()
    }
}

fn refusal(code: &str, message: &str) -> Refusal {
    Refusal { code: code.into(), message: message.into(), ahead: Some(0) }
}

fn refused(code: &str, message: &str) -> AwsError {
    diagnose(Some(CALL), Failure::Refused(refusal(code, message)), &dev())
}

fn unconnected(causes: &str) -> AwsError {
    diagnose(Some(CALL), Failure::NoConnection { causes: causes.into() }, &dev())
}

fn hint(error: &AwsError) -> &str {
    error.hint().unwrap_or_default()
}

#[test]
fn an_access_denied_names_the_missing_action() {
    let error = refused(
        "AccessDenied",
        "User: arn:aws:sts::123456789012:assumed-role/Dev/me is not authorized to perform: \
         rds:DescribeDBClusters on resource: arn:aws:rds:eu-west-1:123456789012:cluster:shop \
         because no identity-based policy allows the rds:DescribeDBClusters action",
    );
    assert_eq!(*error.kind(), Kind::AccessDenied { action: "rds:DescribeDBClusters".into() });
    assert_eq!(
        error.to_string(),
        "your AWS identity (profile dev, eu-west-1) may not rds:DescribeDBClusters"
    );
    assert_eq!(hint(&error), "allow rds:DescribeDBClusters to this identity in IAM");
}

#[test]
fn the_action_of_the_call_stands_in_for_one_that_is_not_named() {
    let error = refused("AccessDeniedException", "no");
    assert_eq!(*error.kind(), Kind::AccessDenied { action: "rds:DescribeDBClusters".into() });
}

#[test]
fn a_key_of_kms_is_named_by_its_action() {
    let error = refused("AccessDeniedException", "Access to KMS is not allowed");
    assert_eq!(*error.kind(), Kind::AccessDenied { action: "kms:Decrypt".into() });
}

#[test]
fn an_explicit_deny_is_told_apart() {
    let error = refused(
        "AccessDenied",
        "not authorized to perform: rds:DescribeDBClusters with an explicit deny in a service \
         control policy",
    );
    assert!(hint(&error).contains("denies rds:DescribeDBClusters explicitly"), "{error:?}");
}

#[test]
fn a_role_that_may_not_be_assumed_names_the_trust_policy() {
    let whose =
        Whose { role: Some("arn:aws:iam::123456789012:role/reader".into()), ..Whose::default() };
    let failure = Failure::Step {
        service: "sts",
        action: "AssumeRole",
        failure: Box::new(Failure::Refused(refusal("AccessDenied", "no"))),
    };
    let error = diagnose(None, failure, &whose);
    assert_eq!(*error.kind(), Kind::AccessDenied { action: "sts:AssumeRole".into() });
    assert!(hint(&error).contains("trust policy"), "{error:?}");
    assert!(hint(&error).contains("role/reader"), "{error:?}");
}

#[test]
fn a_wrong_clock_is_named_with_its_distance() {
    for (ahead, text) in
        [(-900, "15 min behind AWS's"), (3 * 3600 + 60, "3 h 1 min ahead of AWS's")]
    {
        let refusal = Refusal { ahead: Some(ahead), ..refusal("SignatureDoesNotMatch", "no") };
        let error = diagnose(Some(CALL), Failure::Refused(refusal), &dev());
        assert_eq!(*error.kind(), Kind::ClockSkew);
        assert!(error.to_string().contains(text), "{error}");
        assert!(hint(&error).contains("set the clock"), "{error:?}");
    }
}

#[test]
fn a_skew_that_aws_names_needs_no_date() {
    for (code, message) in [
        ("RequestTimeTooSkewed", "The difference is too large."),
        ("InvalidSignatureException", "Signature expired: 20261122T100000Z is now earlier than"),
        ("SignatureDoesNotMatch", "Signature not yet current: 20261122T100000Z is still later"),
    ] {
        let refusal = Refusal { ahead: None, ..refusal(code, message) };
        let error = diagnose(Some(CALL), Failure::Refused(refusal), &dev());
        assert_eq!(*error.kind(), Kind::ClockSkew, "{code}");
    }
}

#[test]
fn a_wrong_signature_with_a_right_clock_is_a_wrong_key() {
    assert_eq!(*refused("SignatureDoesNotMatch", "no").kind(), Kind::Invalid);
}

#[test]
fn a_wrong_clock_explains_nothing_but_signatures() {
    let refusal = Refusal { ahead: Some(4000), ..refusal("AccessDenied", "no") };
    let error = diagnose(Some(CALL), Failure::Refused(refusal), &dev());
    assert!(matches!(error.kind(), Kind::AccessDenied { .. }), "{error:?}");
}

#[test]
fn a_wrong_region_is_named() {
    let error = refused(
        "SignatureDoesNotMatch",
        "Credential should be scoped to a valid region, not 'eu-west-1'. ",
    );
    assert_eq!(*error.kind(), Kind::WrongRegion);
    assert!(error.to_string().contains("eu-west-1"), "{error}");
}

#[test]
fn every_other_code_has_its_kind() {
    for (code, kind) in [
        ("ExpiredToken", Kind::ExpiredToken),
        ("ExpiredTokenException", Kind::ExpiredToken),
        ("ThrottlingException", Kind::Throttled),
        ("Throttling", Kind::Throttled),
        ("DBClusterNotFoundFault", Kind::NotFound),
        ("ResourceNotFoundException", Kind::NotFound),
        ("InvalidClientTokenId", Kind::Invalid),
        ("UnrecognizedClientException", Kind::Invalid),
        ("InternalFailure", Kind::Other),
    ] {
        assert_eq!(*refused(code, "message").kind(), kind, "{code}");
    }
}

#[test]
fn an_expired_sso_session_names_the_command() {
    let login = Login { command: "aws sso login --profile dev".into(), legacy: false };
    let whose = Whose { login: Some(login), ..dev() };
    let refused = Failure::Step {
        service: "sso",
        action: "GetRoleCredentials",
        failure: Box::new(Failure::Refused(refusal("UnauthorizedException", "Session token"))),
    };
    let expired = Failure::Unknown {
        causes: "an error: the SSO token has expired and cannot be refreshed".into(),
    };
    for failure in [refused, expired] {
        let error = diagnose(None, failure, &whose);
        assert_eq!(*error.kind(), Kind::SsoExpired);
        assert_eq!(error.to_string(), "the SSO session of AWS profile dev has expired");
        assert_eq!(hint(&error), "run: aws sso login --profile dev");
    }
}

#[test]
fn an_unauthorized_of_another_service_is_no_sso_matter() {
    assert_eq!(*refused("UnauthorizedException", "no").kind(), Kind::Other);
}

#[test]
fn no_credentials_lists_the_profiles_that_exist() {
    let none = || Failure::NoCredentials { causes: "nothing".into() };
    let unset = diagnose(None, none(), &Whose { profile: None, ..dev() });
    assert_eq!(*unset.kind(), Kind::NoCredentials);
    assert!(hint(&unset).ends_with("profiles: dev, prod"), "{unset:?}");
    let misspelt = diagnose(None, none(), &Whose { profile: Some("dve".into()), ..dev() });
    assert_eq!(misspelt.to_string(), "there is no AWS profile dve");
    let fresh = diagnose(None, none(), &Whose::default());
    assert!(hint(&fresh).contains("aws configure sso"), "{fresh:?}");
}

#[test]
fn a_long_list_of_profiles_is_cut() {
    let profiles: Vec<String> = (10..40).map(|n| format!("p{n}")).collect();
    let error = no_credentials(&Whose { profiles, ..Whose::default() }, None);
    assert!(hint(&error).ends_with("p21 and 18 more"), "{error:?}");
}

#[test]
fn a_broken_way_says_where_to_look() {
    for (causes, kind, words) in [
        ("dns error: failed to lookup address information", Kind::Unreachable, "not resolved"),
        ("tcp connect error: Connection refused (os error 111)", Kind::Unreachable, "refused"),
        ("connection reset by peer", Kind::Unreachable, "the connection failed"),
        ("invalid peer certificate: UnknownIssuer", Kind::Proxy, "certificate is not AWS's"),
        ("CONNECT failed: HTTP/1.1 407 Proxy Authentication", Kind::Proxy, "user and a password"),
        ("unsuccessful tunnel", Kind::Proxy, "did not let through"),
        ("other: failed to apply endpoint `x` to request", Kind::Invalid, "is not a URL"),
    ] {
        let error = unconnected(causes);
        assert_eq!(*error.kind(), kind, "{causes}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(
            error.to_string().contains("rds:DescribeDBClusters failed (profile dev, eu-west-1)")
        );
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_page_of_a_proxy_is_no_answer_of_aws() {
    for status in [200, 302, 403, 407, 502] {
        let error = diagnose(Some(CALL), Failure::Strange { status }, &dev());
        assert_eq!(*error.kind(), Kind::Proxy);
    }
}

#[test]
fn silence_is_unreachable() {
    let error = diagnose(Some(CALL), Failure::TimedOut, &dev());
    assert_eq!(*error.kind(), Kind::Unreachable);
}

/// AWS repeats the signed request, session token included, where a signature is wrong.
#[test]
fn no_error_repeats_a_secret() {
    const SECRETS: [&str; 4] = [
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQDtoken",
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    ];
    let said = format!(
        "The Canonical String should have been 'POST\n/\n\nhost:rds\nx-amz-security-token:{}\n\n{}' \
         AccessKeyId={} SecretAccessKey=\"{}\"",
        SECRETS[2], SECRETS[3], SECRETS[0], SECRETS[1]
    );
    let codes = [
        "SignatureDoesNotMatch",
        "AccessDenied",
        "ExpiredToken",
        "DBClusterNotFoundFault",
        "InvalidClientTokenId",
        "Throttling",
        "InternalFailure",
        "RequestTimeTooSkewed",
    ];
    let refusals = codes.map(|code| Failure::Refused(refusal(code, &said)));
    let others = [
        Failure::NoConnection { causes: said.clone() },
        Failure::NoCredentials { causes: said.clone() },
        Failure::Unusable { causes: said.clone() },
        Failure::Unknown { causes: said.clone() },
        Failure::Unknown { causes: format!("external process exited: {said}") },
    ];
    for failure in refusals.into_iter().chain(others) {
        let error = diagnose(Some(CALL), failure, &dev());
        let everything = format!("{error} {error:?}");
        for secret in SECRETS {
            assert!(!everything.contains(secret), "{everything}");
        }
        assert!(!everything.contains("IQoJb3JpZ2luX2VjEJr"), "{everything}");
    }
}
