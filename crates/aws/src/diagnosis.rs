//! From what failed to what a person is told. Pure.

use crate::error::{AwsError, AwsErrorKind as Kind};
use crate::failure::{Failure, Refusal};
use crate::profiles::Whose;
use crate::quote::quote;

/// A call, as IAM spells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) service: &'static str,
    pub(crate) action: &'static str,
}

/// Clocks that differ by less are as good as equal. AWS itself allows five minutes to the requests
/// it checks (Signature Version 4, "Troubleshooting"), but a token for a database lives fifteen.
const SKEW: u64 = 120;

/// More names than this help nobody.
const NAMES: usize = 12;

/// Says what a failure means; `call` is what was attempted, if it was one call.
pub(crate) fn diagnose(call: Option<Call>, failure: Failure, whose: &Whose) -> AwsError {
    let about = About { call, whose };
    match failure {
        Failure::Known(error) => error,
        Failure::Step { service, action, failure } => {
            diagnose(Some(Call { service, action }), *failure, whose)
        }
        Failure::Refused(refusal) => about.refused(&refusal),
        Failure::Strange { status } => about.strange(status),
        Failure::NoConnection { causes } => about.no_connection(&causes),
        Failure::TimedOut => about.timed_out(),
        Failure::NoCredentials { causes } => about.none_found(&causes),
        Failure::Unusable { causes } => about.unusable(&causes),
        Failure::Unknown { causes } => about.unknown(&causes),
    }
}

/// No region is set anywhere.
pub(crate) fn no_region(whose: &Whose) -> AwsError {
    let text = format!("no AWS region is set{}", About { call: None, whose }.context());
    AwsError::new(Kind::WrongRegion, text).with_hint(
        "set region for this database, AWS_REGION, or region in the profile of ~/.aws/config",
    )
}

/// No source of credentials had any; `detail` is what the sources said.
pub(crate) fn no_credentials(whose: &Whose, detail: Option<&str>) -> AwsError {
    let profile = whose.profile.as_deref();
    let missing = profile.filter(|name| !whose.profiles.iter().any(|known| known == name));
    let context = About { call: None, whose }.context();
    let text = match (missing, detail) {
        (Some(name), _) => format!("there is no AWS profile {}", quote(name)),
        (None, Some(detail)) => format!("no AWS credentials: {}{context}", quote(detail)),
        (None, None) => format!("no AWS credentials found{context}"),
    };
    let advice = match profile {
        Some(_) => "choose one that has credentials",
        None => "set AWS_PROFILE, or profile for this database",
    };
    AwsError::new(Kind::NoCredentials, text)
        .with_hint(format!("{advice}; {}", profile_list(&whose.profiles)))
}

fn profile_list(names: &[String]) -> String {
    if names.is_empty() {
        return "the AWS configuration files define no profile: aws configure sso makes one".into();
    }
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| quote(name)).collect();
    let more = match names.len().saturating_sub(NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("profiles: {}{more}", shown.join(", "))
}

/// What was attempted, and for whom.
struct About<'a> {
    call: Option<Call>,
    whose: &'a Whose,
}

impl About<'_> {
    fn refused(&self, refusal: &Refusal) -> AwsError {
        let Refusal { code, message, .. } = refusal;
        if let Some(skew) = self.skewed(refusal) {
            return skew;
        }
        match code.as_str() {
            _ if is_region(code, message) => self.wrong_region(),
            "UnauthorizedException" if self.service() == Some("sso") => self.sso_expired(),
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => self.expired(),
            "AccessDenied"
            | "AccessDeniedException"
            | "UnauthorizedOperation"
            | "ForbiddenException"
            | "NotAuthorized" => self.denied(message),
            "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => {
                self.unknown_key()
            }
            "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature" => {
                self.bad_signature()
            }
            _ if is_throttling(code) => self.throttled(),
            _ if code.contains("NotFound") => self.not_found(message),
            _ => self.other(code, message),
        }
    }

    /// The clock explains a refused signature; it explains nothing else.
    fn skewed(&self, refusal: &Refusal) -> Option<AwsError> {
        let Refusal { code, message, ahead } = refusal;
        let signature = matches!(
            code.as_str(),
            "SignatureDoesNotMatch" | "InvalidSignatureException" | "RequestExpired"
        );
        let certain = matches!(code.as_str(), "RequestTimeTooSkewed" | "RequestInTheFuture")
            || signature
                && (message.starts_with("Signature expired")
                    || message.starts_with("Signature not yet current"));
        let apart = ahead.filter(|ahead| ahead.unsigned_abs() > SKEW);
        let by = match apart {
            Some(ahead) if ahead > 0 => format!("{} ahead of", span(ahead.unsigned_abs())),
            Some(behind) => format!("{} behind", span(behind.unsigned_abs())),
            None if certain => "too far from".to_owned(),
            None => return None,
        };
        if !certain && !signature {
            return None;
        }
        let text = format!("this computer's clock is {by} AWS's: {}", self.failed());
        Some(AwsError::new(Kind::ClockSkew, text).with_hint(
            "set the clock by the network's time; a virtual machine or WSL may have slept",
        ))
    }

    fn wrong_region(&self) -> AwsError {
        let text = format!("AWS says this is the wrong region: {}", self.failed());
        AwsError::new(Kind::WrongRegion, text)
            .with_hint("set region to the one of the database; it is in the name of its endpoint")
    }

    fn sso_expired(&self) -> AwsError {
        let profile = self.whose.profile.as_deref().unwrap_or("default");
        let text = format!("the SSO session of AWS profile {} has expired", quote(profile));
        let error = AwsError::new(Kind::SsoExpired, text);
        error.with_hint(match &self.whose.login {
            Some(login) if login.legacy => format!(
                "run: {} (a profile with sso_session would renew its session by itself)",
                login.command
            ),
            Some(login) => format!("run: {}", login.command),
            None => "run: aws sso login".to_owned(),
        })
    }

    fn expired(&self) -> AwsError {
        let text = format!("the AWS credentials have expired: {}", self.failed());
        let hint = match &self.whose.login {
            Some(login) => format!("run: {}", login.command),
            None => "renew the credentials where they come from".to_owned(),
        };
        AwsError::new(Kind::ExpiredToken, text).with_hint(hint)
    }

    fn denied(&self, message: &str) -> AwsError {
        let action = missing_action(message).unwrap_or_else(|| self.action());
        let who = format!("{}{}", self.identity(), self.context());
        let hint = match (action.as_str(), &self.whose.role) {
            ("sts:AssumeRole", Some(role)) => format!(
                "allow sts:AssumeRole on {} to this identity, and let the role's trust policy name it \
                 (and the external id, if it wants one)",
                quote(role)
            ),
            ("sso:GetRoleCredentials", _) => {
                "the profile's sso_account_id and sso_role_name are not assigned to you: \
                 check them, or ask for the assignment"
                    .to_owned()
            }
            (action, _) if message.contains("explicit deny") => {
                format!("a policy denies {action} explicitly: have that policy changed")
            }
            (action, _) => format!("allow {action} to this identity in IAM"),
        };
        AwsError::new(
            Kind::AccessDenied { action: action.clone() },
            format!("{who} may not {action}"),
        )
        .with_hint(hint)
    }

    fn unknown_key(&self) -> AwsError {
        let text = format!("AWS does not know the access key: {}", self.failed());
        AwsError::new(Kind::Invalid, text).with_hint(
            "the key is deleted or switched off, its session token is missing, or the region is not \
             enabled for the account",
        )
    }

    fn bad_signature(&self) -> AwsError {
        let text = format!("AWS refused the signature: {}", self.failed());
        AwsError::new(Kind::Invalid, text).with_hint(
            "the secret key does not belong to the access key, or a proxy changes requests",
        )
    }

    fn throttled(&self) -> AwsError {
        let text = format!("AWS asks for fewer requests: {}", self.failed());
        AwsError::new(Kind::Throttled, text).with_hint("try again in a while")
    }

    fn not_found(&self, message: &str) -> AwsError {
        let text = format!("{}: {}", self.failed(), quote(message));
        AwsError::new(Kind::NotFound, text)
            .with_hint("check the name, the region and the account: each looks for its own alone")
    }

    fn other(&self, code: &str, message: &str) -> AwsError {
        let text = format!("{}: {}: {}", self.failed(), quote(code), quote(message));
        AwsError::new(Kind::Other, text)
    }

    fn strange(&self, status: u16) -> AwsError {
        if status == 407 {
            return self.proxy("the proxy wants a user and a password");
        }
        self.proxy(&format!("something else than AWS answered (HTTP {status})"))
    }

    fn proxy(&self, what: &str) -> AwsError {
        AwsError::new(Kind::Proxy, format!("{what}: {}", self.failed())).with_hint(
            "set HTTPS_PROXY (with user and password if it wants them) and NO_PROXY as your network \
             asks, or have AWS's hosts exempted",
        )
    }

    fn no_connection(&self, causes: &str) -> AwsError {
        let lower = causes.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if says(&["failed to apply endpoint"]) {
            let text = format!("the endpoint of AWS is not a URL: {}", self.failed());
            return AwsError::new(Kind::Invalid, text)
                .with_hint("check endpoint_url and AWS_ENDPOINT_URL: https:// and a host");
        }
        if says(&["certificate", "unknownissuer"]) {
            let text = format!("the certificate is not AWS's: {}", self.failed());
            return AwsError::new(Kind::Proxy, text).with_hint(
                "a network that inspects TLS shows its own certificate: trust its authority in the \
                 system's store (SSL_CERT_FILE), or have AWS's hosts exempted",
            );
        }
        if says(&["407", "proxy auth"]) {
            return self.proxy("the proxy wants a user and a password");
        }
        if says(&["tunnel", "proxy"]) {
            return self.proxy("the proxy in HTTPS_PROXY did not let through");
        }
        let (what, hint) = if says(&["dns error", "lookup address", "name or service"]) {
            ("its name was not resolved", "check the network and the spelling of the region")
        } else if says(&["refused"]) {
            ("the connection was refused", "check endpoint_url, AWS_ENDPOINT_URL and HTTPS_PROXY")
        } else {
            ("the connection failed", "check the network, a VPN, and whether HTTPS_PROXY is needed")
        };
        let text = format!("AWS is not reachable, {what}: {}", self.failed());
        AwsError::new(Kind::Unreachable, text).with_hint(hint)
    }

    fn timed_out(&self) -> AwsError {
        let text = format!("AWS did not answer in time: {}", self.failed());
        AwsError::new(Kind::Unreachable, text)
            .with_hint("check the network, a VPN, and whether HTTPS_PROXY is needed")
    }

    fn none_found(&self, causes: &str) -> AwsError {
        if is_sso(causes) {
            return self.sso_expired();
        }
        no_credentials(self.whose, None)
    }

    fn unusable(&self, causes: &str) -> AwsError {
        if causes.contains("was not defined") {
            return no_credentials(self.whose, None);
        }
        let text = format!("{}: {}", self.failed(), quote(causes));
        AwsError::new(Kind::Invalid, text)
            .with_hint("check the profile in ~/.aws/config and the settings of this database")
    }

    /// The provider that found something and could not use it.
    fn unknown(&self, causes: &str) -> AwsError {
        if is_sso(causes) {
            return self.sso_expired();
        }
        if causes.contains("external process") {
            return no_credentials(self.whose, Some(causes));
        }
        AwsError::new(Kind::Other, format!("{}: {}", self.failed(), quote(causes)))
    }

    fn service(&self) -> Option<&'static str> {
        self.call.map(|call| call.service)
    }

    fn action(&self) -> String {
        self.call.map_or_else(
            || "the call".to_owned(),
            |call| format!("{}:{}", call.service, call.action),
        )
    }

    fn identity(&self) -> &'static str {
        match (&self.whose.role, self.call) {
            (Some(_), Some(Call { service: "sts", .. })) | (None, _) => "your AWS identity",
            (Some(_), _) => "the assumed role",
        }
    }

    /// The call and whose it was.
    fn failed(&self) -> String {
        match self.call {
            Some(call) => format!("{}:{} failed{}", call.service, call.action, self.context()),
            None => format!("looking for AWS credentials failed{}", self.context()),
        }
    }

    /// ` (profile dev, eu-west-1)`, as far as it is known.
    fn context(&self) -> String {
        let profile = self.whose.profile.as_deref().map(|name| format!("profile {}", quote(name)));
        let parts: Vec<String> =
            profile.into_iter().chain(self.whose.region.as_deref().map(quote)).collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }
}

/// Source: the texts of `aws-config`'s SSO providers, whose types are private.
fn is_sso(causes: &str) -> bool {
    let texts = ["SSO token has expired", "cached SSO token", "/.aws/sso/cache/"];
    texts.iter().any(|text| causes.contains(text))
}

/// Source: the error texts of Signature Version 4, "credential scope".
fn is_region(code: &str, message: &str) -> bool {
    code == "AuthorizationHeaderMalformed"
        || message.contains("scoped to a valid region")
        || message.contains("scoped to correct region")
}

fn is_throttling(code: &str) -> bool {
    code.contains("Throttl")
        || [
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "LimitExceededException",
            "SlowDown",
        ]
        .contains(&code)
}

/// `rds:DescribeDBClusters` out of AWS's sentence; KMS has a sentence of its own.
fn missing_action(message: &str) -> Option<String> {
    if message.contains("Access to KMS is not allowed") {
        return Some("kms:Decrypt".to_owned());
    }
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let action = rest.split_whitespace().next()?.trim_end_matches(['.', ',']);
    let spelled = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '-';
    (action.contains(':') && action.chars().all(spelled)).then(|| action.to_owned())
}

fn span(seconds: u64) -> String {
    match (seconds / 3600, seconds % 3600 / 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) if hours < 48 => format!("{hours} h {minutes} min"),
        (hours, _) => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests;
