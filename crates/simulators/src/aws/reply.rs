//! Answers, in the words of the protocol a service speaks.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode, header::HeaderValue};
use serde_json::{Value, json};

use super::{
    principal::Unauthenticated,
    xml::{element, text},
};
use crate::{sigv4::Refusal, ssm::Session};

/// How a service words its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Parameters in, XML out, under this namespace.
    Query(&'static str),
    /// As [`Self::Query`], with wrappings of its own.
    Ec2,
    /// JSON 1.1.
    Json,
    /// JSON with the error's code in a header: the SSO portal.
    Rest,
    /// As [`Self::Rest`], with more after the code in the header, and no code in the body.
    DataApi,
    /// As OAuth 2 has it.
    OAuth,
}

/// An answer that is an error.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    status: u16,
    code: Code,
    message: String,
    /// What an error of the Data API tells besides.
    members: Vec<(&'static str, Value)>,
}

#[derive(Clone, Debug)]
enum Code {
    /// The same in every protocol.
    Plain(String),
    /// In the query protocol; in JSON.
    Either(&'static str, &'static str),
}

impl Failure {
    pub(crate) fn new(status: u16, code: &str, message: &str) -> Self {
        let code = Code::Plain(code.to_owned());
        Self { status, code, message: message.to_owned(), members: Vec::new() }
    }

    fn either(status: u16, query: &'static str, json: &'static str, message: &str) -> Self {
        let code = Code::Either(query, json);
        Self { status, code, message: message.to_owned(), members: Vec::new() }
    }

    /// Tells more.
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.members.push((name, value));
        self
    }

    pub(crate) fn throttled() -> Self {
        Self::either(400, "Throttling", "ThrottlingException", "Rate exceeded")
    }

    pub(crate) fn internal() -> Self {
        let message = "An internal error has occurred. Please try your request again.";
        Self::either(500, "InternalFailure", "InternalServiceError", message)
    }

    pub(crate) fn access_denied(message: &str) -> Self {
        Self::either(403, "AccessDenied", "AccessDeniedException", message)
    }

    pub(crate) fn unknown_action(action: &str, version: &str) -> Self {
        let message = format!("Could not find operation {action} for version {version}");
        Self::either(400, "InvalidAction", "UnknownOperationException", &message)
    }

    pub(crate) fn code(&self, protocol: Protocol) -> &str {
        match (&self.code, protocol) {
            (Code::Plain(code), _) => code,
            (Code::Either(query, _), Protocol::Query(_) | Protocol::Ec2) => query,
            (Code::Either("InternalFailure", _), Protocol::DataApi) => {
                "InternalServerErrorException"
            }
            (Code::Either(_, json), _) => json,
        }
    }

    fn status(&self, protocol: Protocol) -> u16 {
        // JSON services have one status for every fault of the caller.
        let json = protocol == Protocol::Json && self.status < 500;
        if json { 400 } else { self.status }
    }
}

impl From<Unauthenticated> for Failure {
    fn from(reason: Unauthenticated) -> Self {
        let (query, json, message) = match &reason {
            Unauthenticated::UnknownKey => (
                "InvalidClientTokenId",
                "UnrecognizedClientException",
                "The security token included in the request is invalid.".to_owned(),
            ),
            Unauthenticated::Ended => (
                "ExpiredToken",
                "ExpiredTokenException",
                "The security token included in the request is expired".to_owned(),
            ),
            Unauthenticated::Refused(refusal) => {
                let (query, json) = match refusal {
                    Refusal::Missing => {
                        ("MissingAuthenticationToken", "MissingAuthenticationTokenException")
                    }
                    Refusal::Incomplete(_) => {
                        ("IncompleteSignature", "IncompleteSignatureException")
                    }
                    _ => ("SignatureDoesNotMatch", "InvalidSignatureException"),
                };
                (query, json, refusal.to_string())
            }
        };
        let incomplete = matches!(reason, Unauthenticated::Refused(Refusal::Incomplete(_)));
        Self::either(if incomplete { 400 } else { 403 }, query, json, &message)
    }
}

/// A body that tells of success.
pub(crate) enum Success {
    /// The content of the `…Result` element.
    Xml(String),
    Json(Value),
    /// A `WebSocket` of this session instead of a body.
    DataChannel(Arc<Session>),
}

impl Protocol {
    /// Wraps up an answer to `action`.
    pub(crate) fn response(
        self,
        action: &str,
        answer: &Result<Success, Failure>,
        request_id: &str,
    ) -> Response<Full<Bytes>> {
        let (status, body) = match answer {
            Ok(Success::Xml(result)) => (200, self.envelope(action, result, request_id)),
            Ok(Success::Json(value)) => (200, value.to_string()),
            Ok(Success::DataChannel(_)) => (200, String::new()),
            Err(failure) => (failure.status(self), self.error(failure, request_id)),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static(self.content_type()));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        if let Err(failure) = answer
            && let Some(code) = self.error_type(failure)
        {
            headers.insert("x-amzn-errortype", code);
        }
        response
    }

    /// The code in the header.
    fn error_type(self, failure: &Failure) -> Option<HeaderValue> {
        let code = failure.code(self);
        match (self, &failure.code) {
            // The service behind the front door adds its name.
            (Self::DataApi, Code::Plain(_)) => {
                HeaderValue::from_str(&format!("{code}:{DATA_API}")).ok()
            }
            (Self::DataApi | Self::Rest | Self::OAuth, _) => HeaderValue::from_str(code).ok(),
            (Self::Query(_) | Self::Ec2 | Self::Json, _) => None,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Query(_) | Self::Ec2 => "text/xml",
            Self::Json => "application/x-amz-json-1.1",
            Self::Rest | Self::DataApi | Self::OAuth => "application/json",
        }
    }

    fn envelope(self, action: &str, result: &str, request_id: &str) -> String {
        if self == Self::Ec2 {
            let id = text("requestId", request_id);
            return format!("<{action}Response xmlns=\"{EC2}\">{id}{result}</{action}Response>");
        }
        let Self::Query(namespace) = self else { return result.to_owned() };
        format!(
            "<{action}Response xmlns=\"{namespace}\">{}{}</{action}Response>",
            element(&format!("{action}Result"), result),
            element("ResponseMetadata", &text("RequestId", request_id)),
        )
    }

    fn error(self, failure: &Failure, request_id: &str) -> String {
        let (code, message) = (failure.code(self), failure.message.as_str());
        match self {
            Self::Query(namespace) => {
                let kind = if failure.status < 500 { "Sender" } else { "Receiver" };
                let error = [text("Type", kind), text("Code", code), text("Message", message)];
                let error = element("Error", &error.concat());
                let id = text("RequestId", request_id);
                format!("<ErrorResponse xmlns=\"{namespace}\">{error}{id}</ErrorResponse>")
            }
            Self::Ec2 => {
                let error = [text("Code", code), text("Message", message)].concat();
                let errors = element("Errors", &element("Error", &error));
                element("Response", &(errors + &text("RequestID", request_id)))
            }
            // The front door writes `message`, the service behind it `Message`.
            Self::Json if matches!(failure.code, Code::Either(..)) => {
                json!({"__type": code, "message": message}).to_string()
            }
            Self::Json => json!({"__type": code, "Message": message}).to_string(),
            Self::Rest => json!({"__type": code, "message": message}).to_string(),
            Self::DataApi => {
                let message = Some(("message", json!(message))).filter(|_| !message.is_empty());
                let members = message.into_iter().chain(failure.members.iter().cloned());
                let members = members.map(|(name, value)| (name.to_owned(), value));
                Value::Object(members.collect()).to_string()
            }
            Self::OAuth => json!({"error": oauth(code), "error_description": message}).to_string(),
        }
    }
}

/// `invalid_grant` for `InvalidGrantException`.
fn oauth(code: &str) -> String {
    let mut snake = String::new();
    for letter in code.trim_end_matches("Exception").chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

const DATA_API: &str = "http://internal.amazon.com/coral/com.amazon.rdsdataservice/";
const EC2: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
