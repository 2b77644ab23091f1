//! Why an instance was not handed a key, in words and with what to do about it: pure.

use pgferry_transport_aws::CallFailure;
use pgferry_transport_sdk::Error;

/// The call, as IAM spells it.
pub(crate) const ACTION: &str = "ec2-instance-connect:SendSSHPublicKey";

/// The service has answered, and done nothing.
pub(crate) fn unsuccessful() -> CallFailure {
    CallFailure::Refused(String::new(), "it was not successful".to_owned())
}

/// The error for a client. What is mended elsewhere is denied: the statuses that name a wrong configuration
/// would disable the transport until it is made anew.
///
/// Source: Amazon EC2 Instance Connect API Reference, `SendSSHPublicKey`, errors.
pub(crate) fn of(failure: CallFailure, instance: &str, user: &str, region: &str) -> Error {
    let (code, said) = match failure {
        CallFailure::Credentials(error)
        | CallFailure::Throttled(error)
        | CallFailure::Unanswered(error) => return error,
        CallFailure::Refused(code, said) => (code, said),
    };
    match code.as_str() {
        "AccessDeniedException" | "AccessDenied" | "AuthException" => {
            Error::denied(format!("this AWS identity may not {ACTION}: {said}")).with_hint(format!(
                "allow {ACTION} on arn:aws:ec2:{region}:*:instance/{instance} to this identity in IAM; a \
                 condition on ec2:osuser has to allow {user:?}"
            ))
        }
        "EC2InstanceNotFoundException" => {
            Error::denied(format!("there is no EC2 instance {instance} in {region}"))
                .with_hint("check instance (or host), account and region of this transport")
        }
        "EC2InstanceStateInvalidException" | "EC2InstanceUnavailableException" => {
            Error::unreachable(format!("EC2 instance {instance} does not run: {said}"))
                .with_hint("start the instance, or wait until it has started")
        }
        "EC2InstanceTypeInvalidException" => Error::denied(format!(
            "EC2 instance {instance} is of a type that Instance Connect does not know: {said}"
        ))
        .with_hint("use key_file or agent instead of key"),
        "InvalidArgsException" | "ValidationException" => {
            Error::denied(format!("{ACTION} does not take what is configured: {said}"))
                .with_hint("check instance and user of this transport")
        }
        "" => Error::unreachable(format!("something else than AWS answered: {ACTION} ({region})"))
            .with_hint("check endpoint_url and HTTPS_PROXY"),
        _ => Error::unreachable(format!("{ACTION} failed: {code}: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use pgferry_transport_sdk::Status;

    use super::*;

    #[test]
    fn every_refusal_has_a_status_of_its_own_and_a_way_out() {
        let cases = [
            ("AccessDeniedException", Status::DENIED, "arn:aws:ec2:eu-west-1:*:instance/i-1"),
            ("AuthException", Status::DENIED, "has to allow \"ec2-user\""),
            ("EC2InstanceNotFoundException", Status::DENIED, "check instance"),
            ("EC2InstanceStateInvalidException", Status::UNREACHABLE, "start the instance"),
            ("EC2InstanceUnavailableException", Status::UNREACHABLE, "start the instance"),
            ("EC2InstanceTypeInvalidException", Status::DENIED, "key_file"),
            ("InvalidArgsException", Status::DENIED, "check instance and user"),
            ("", Status::UNREACHABLE, "endpoint_url"),
        ];
        for (code, status, hint) in cases {
            let failure = CallFailure::Refused(code.to_owned(), "because".to_owned());
            let error = of(failure, "i-1", "ec2-user", "eu-west-1");
            assert_eq!(error.status(), status, "{code}");
            assert!(error.hint().unwrap().contains(hint), "{code}: {:?}", error.hint());
        }
        let failure = CallFailure::Refused("ServiceException".to_owned(), "oh".to_owned());
        let error = of(failure, "i-1", "ec2-user", "eu-west-1");
        assert!(error.message().contains("ServiceException: oh"), "{error}");
    }
}
