//! What goes wrong with a call of any service, in words and with what to do about it.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pgferry_transport_sdk::Error;

/// How a call failed that has nothing to do with what it asks for.
#[derive(Clone, Debug)]
pub enum CallFailure {
    /// The credentials are refused; others may not be.
    Credentials(Error),
    /// The service asks for fewer calls.
    Throttled(Error),
    /// AWS was not reached, or did not answer.
    Unanswered(Error),
    /// The service's own refusal: its code, which may be empty, and its words.
    Refused(String, String),
}

impl CallFailure {
    /// What the SDK's error means for a call that IAM knows as `action`.
    pub fn of<E, R>(action: &str, error: &SdkError<E, R>, region: &str) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let code = context.err().code().unwrap_or_default();
                let said = quote(context.err().message().unwrap_or_default());
                answered(action, code, said, region)
            }
            SdkError::TimeoutError(_) => Self::Unanswered(Error::timeout(format!(
                "AWS did not answer in time: {action} ({region})"
            ))),
            other => Self::Unanswered(unsent(action, other, region)),
        }
    }
}

/// Source: AWS General Reference, "Common errors"; the codes differ between protocols.
fn answered(action: &str, code: &str, said: String, region: &str) -> CallFailure {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => CallFailure::Credentials(
            Error::auth(format!("the AWS credentials have expired: {action}"))
                .with_hint("renew the credentials where they come from, such as aws sso login"),
        ),
        "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidSignatureException" => {
            CallFailure::Credentials(
                Error::auth(format!("AWS does not accept the credentials: {action}: {said}"))
                    .with_hint("check the profile, the region and this computer's clock"),
            )
        }
        _ if code.contains("Throttl") || code.contains("TooManyRequests") => {
            CallFailure::Throttled(Error::throttled(format!(
                "AWS asks for fewer calls: {action} ({region})"
            )))
        }
        _ => CallFailure::Refused(code.to_owned(), said),
    }
}

/// The call did not get through, or there was nothing to make it with.
fn unsent<E, R>(action: &str, error: &SdkError<E, R>, region: &str) -> Error
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let chain = || std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    // The program's own words about credentials come back through the SDK.
    if let Some(own) = chain().find_map(|cause| cause.downcast_ref::<Error>()) {
        return own.clone();
    }
    let mut causes: Vec<String> = chain().map(ToString::to_string).collect();
    causes.dedup();
    let causes = quote(&causes.join(": "));
    if causes.contains("proxy authorization required") {
        return Error::denied("the HTTPS proxy wants a user and a password")
            .with_hint("write them into HTTPS_PROXY: http://user:password@host:port");
    }
    if causes.contains("tunnel error") {
        return Error::unreachable(format!("no way through the HTTPS proxy: {causes}")).with_hint(
            "check HTTPS_PROXY, and have the hosts of AWS (ssm, ssmmessages, ec2-instance-connect) \
             allowed in the proxy",
        );
    }
    Error::unreachable(format!("AWS is not reachable: {action} ({region}): {causes}"))
        .with_hint("check the network, a VPN, and whether HTTPS_PROXY is needed")
}

/// Foreign text inside our own: one line, and no longer than a line.
fn quote(text: &str) -> String {
    let plain = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = plain.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// IAM's refusals have two ARNs in them.
const MAX_TEXT: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_stay_on_one_line_and_end() {
        assert_eq!(quote("a\nb\u{1b}[31m  c"), "a b [31m c");
        assert_eq!(quote(&"é".repeat(500)), "é".repeat(400) + "…");
    }

    #[test]
    fn what_no_service_means_for_itself_is_told_apart() {
        let of = |code: &str| answered("ssm:StartSession", code, "because".to_owned(), "eu-west-1");
        assert!(matches!(of("ExpiredToken"), CallFailure::Credentials(_)));
        assert!(matches!(of("InvalidSignatureException"), CallFailure::Credentials(_)));
        assert!(matches!(of("ThrottlingException"), CallFailure::Throttled(_)));
        let CallFailure::Refused(code, said) = of("InvalidDocument") else { panic!("no refusal") };
        assert_eq!((code.as_str(), said.as_str()), ("InvalidDocument", "because"));
    }
}
