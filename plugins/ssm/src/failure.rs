//! How a call of Systems Manager failed, in words and with what to do about it.

use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use pgferry_transport_aws::CallFailure;
use pgferry_transport_sdk::Error;

/// A call, as IAM spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    Resume,
    Terminate,
    Describe,
}

/// How a call failed.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    /// The node's agent is not there: it may be, in a while.
    NotConnected,
    /// The session is over.
    Gone,
    /// The credentials are refused, others may not be.
    Expired(Error),
    /// Anything else; trying the same again may help if it is no refusal.
    Other(Error),
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Start => "ssm:StartSession",
            Self::Resume => "ssm:ResumeSession",
            Self::Terminate => "ssm:TerminateSession",
            Self::Describe => "ssm:DescribeInstanceInformation",
        }
    }
}

impl CallError {
    /// What the SDK's error means.
    pub(crate) fn of<E>(action: Action, error: &SdkError<E>, region: &str) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match CallFailure::of(action.name(), error, region) {
            CallFailure::Credentials(error) => Self::Expired(error),
            CallFailure::Throttled(error) | CallFailure::Unanswered(error) => Self::Other(error),
            CallFailure::Refused(code, said) => refused(action, &code, &said, region),
        }
    }

    /// The service's answer lacks what the call is made for.
    pub(crate) fn strange(action: Action) -> Self {
        Self::Other(Error::protocol(format!("{}: the answer is not complete", action.name())))
    }

    /// The error for a client; `node` is what the configuration calls the managed node.
    pub(crate) fn into_error(self, node: &str, region: &str) -> Error {
        match self {
            Self::NotConnected => not_connected(node, region),
            Self::Gone => crate::refusal::gone(),
            Self::Expired(error) | Self::Other(error) => error,
        }
    }
}

/// No node has the tags, or none of them is online.
pub(crate) fn nobody(node: &str, region: &str) -> Error {
    Error::unreachable(format!("no managed node {node} is online in {region}")).with_hint(
        "check tags and region, that the node runs, that its SSM agent runs and reaches ssm and \
         ssmmessages, and that its instance profile has AmazonSSMManagedInstanceCore",
    )
}

/// Source: API reference of Systems Manager, `StartSession`, errors.
fn not_connected(node: &str, region: &str) -> Error {
    Error::unreachable(format!(
        "managed node {node} is not connected to Systems Manager in {region}"
    ))
    .with_hint(
        "one of four: the node or its SSM agent does not run (or only just started), its instance \
             profile lacks AmazonSSMManagedInstanceCore, it does not reach the endpoints ssm and \
             ssmmessages, or it is in another account or region",
    )
}

/// What is mended elsewhere is denied: `CONFIG` would disable the transport until it is made anew.
fn refused(action: Action, code: &str, said: &str, region: &str) -> CallError {
    let name = action.name();
    CallError::Other(match code {
        "TargetNotConnected" => return CallError::NotConnected,
        "DoesNotExistException" if action != Action::Describe => return CallError::Gone,
        "AccessDeniedException" | "AccessDenied" => {
            Error::denied(format!("this AWS identity may not {name}: {said}"))
                .with_hint(permission(action))
        }
        "InvalidDocument" => Error::denied(format!("AWS knows no such session document: {said}"))
            .with_hint("check document and region of this transport"),
        "BadRequest" | "BadRequestException" if said.contains("remote host") => {
            Error::denied(format!("{name}: {said}"))
                .with_hint("update the node's SSM agent (AWS-UpdateSSMAgent)")
        }
        "BadRequest" | "BadRequestException" | "ValidationException" => {
            Error::denied(format!("{name} does not take what is configured: {said}"))
                .with_hint("check instance, document and reason of this transport")
        }
        "" => Error::unreachable(format!("something else than AWS answered: {name} ({region})"))
            .with_hint("check endpoint_url and HTTPS_PROXY"),
        _ => Error::unreachable(format!("{name} failed: {code}: {said}")),
    })
}

fn permission(action: Action) -> &'static str {
    match action {
        Action::Start => {
            "allow ssm:StartSession on the node and on the document to this identity in IAM; an \
             organisation may allow documents of its own alone: set document"
        }
        Action::Resume | Action::Terminate => {
            "allow ssm:ResumeSession and ssm:TerminateSession on \
             arn:aws:ssm:*:*:session/${aws:userid}-* to this identity in IAM"
        }
        Action::Describe => {
            "allow ssm:DescribeInstanceInformation to this identity in IAM, or set instance instead \
             of name and tags"
        }
    }
}

#[cfg(test)]
mod tests {
    use pgferry_transport_sdk::Status;

    use super::*;

    fn error(code: &str, said: &str) -> Error {
        refused(Action::Start, code, said, "eu-west-1").into_error("i-1", "eu-west-1")
    }

    #[test]
    fn every_refusal_has_a_status_of_its_own_and_a_way_out() {
        let cases = [
            ("TargetNotConnected", Status::UNREACHABLE, "one of four"),
            ("AccessDeniedException", Status::DENIED, "ssm:StartSession on the node"),
            ("InvalidDocument", Status::DENIED, "check document"),
            ("ValidationException", Status::DENIED, "check instance"),
        ];
        for (code, status, hint) in cases {
            let error = error(code, "because");
            assert_eq!(error.status(), status, "{code}");
            assert!(error.hint().unwrap().contains(hint), "{code}: {:?}", error.hint());
        }
        assert_eq!(error("InternalServerError", "").status(), Status::UNREACHABLE);
    }

    #[test]
    fn a_session_that_is_unknown_is_over() {
        let failed = refused(Action::Resume, "DoesNotExistException", "", "eu-west-1");
        assert!(matches!(failed, CallError::Gone));
    }
}
