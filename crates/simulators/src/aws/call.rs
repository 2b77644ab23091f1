//! What a request asks for: the service, the action and its parameters.

use serde_json::Value;

use super::reply::{Failure, Protocol};
use crate::{
    sigv4::{Claim, Refusal, Request},
    ssm::STREAM_PATH,
};

/// A request, read as far as its sender can be asked about.
pub(crate) struct Incoming {
    pub(crate) request: Request,
    /// The signing name of the service, empty if no service is meant.
    pub(crate) service: String,
    /// The action's own name.
    pub(crate) action: String,
    pub(crate) protocol: Protocol,
    pub(crate) claim: Result<Claim, Refusal>,
    pub(crate) parameters: Parameters,
    pub(crate) scheme: Scheme,
}

/// How a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// The parameters of a query call.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Incoming {
    pub(crate) fn read(request: Request, scheme: Scheme) -> Self {
        let claim = match Claim::from_headers(&request) {
            Err(Refusal::Missing) => Claim::from_query(&request),
            other => other,
        };
        let parameters = Parameters::read(&request);
        let (service, action, protocol) = meant(&request, &claim, &parameters);
        Self { request, service, action, protocol, claim, parameters, scheme }
    }

    /// As policies name it.
    pub(crate) fn qualified_action(&self) -> String {
        format!("{}:{}", self.service, self.action)
    }

    /// The body of a JSON call.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.request.body).ok().filter(Value::is_object).ok_or_else(|| {
            Failure::new(400, "SerializationException", "Start of structure expected")
        })
    }
}

fn meant(
    request: &Request,
    claim: &Result<Claim, Refusal>,
    parameters: &Parameters,
) -> (String, String, Protocol) {
    let found =
        |service: &str, action: &str, protocol| (service.to_owned(), action.to_owned(), protocol);
    if let ("POST", Some(action)) = (request.method.as_str(), data_api_action(&request.path)) {
        return found("rds-data", action, Protocol::DataApi);
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/federation/credentials") => {
            return found("sso", "GetRoleCredentials", Protocol::Rest);
        }
        ("GET", path) if path.starts_with(STREAM_PATH) => {
            return found("ssmmessages", "OpenDataChannel", Protocol::Rest);
        }
        ("POST", "/token") => return found("sso-oauth", "CreateToken", Protocol::OAuth),
        _ => {}
    }
    if let Some(target) = request.header("x-amz-target") {
        let (service, action) = target.split_once('.').unwrap_or(("", target));
        let service = match service {
            "AmazonSSM" => "ssm",
            "AWSEC2InstanceConnectService" => "ec2-instance-connect",
            other => other,
        };
        return found(service, action, Protocol::Json);
    }
    let action = parameters.optional("Action").unwrap_or_default();
    let signed_for = claim.as_ref().map_or("", |claim| claim.scope.service.as_str());
    match (parameters.optional("Version"), signed_for) {
        (Some(STS_VERSION), _) | (None, "sts") => found("sts", action, Protocol::Query(STS)),
        (Some(EC2_VERSION), _) | (None, "ec2") => found("ec2", action, Protocol::Ec2),
        (Some(RDS_VERSION), _) | (None, "rds") => found("rds", action, Protocol::Query(RDS)),
        _ => found("", action, Protocol::Query(STS)),
    }
}

/// Source: the Amazon RDS Data Service API reference, each operation's request syntax.
fn data_api_action(path: &str) -> Option<&'static str> {
    Some(match path {
        "/Execute" => "ExecuteStatement",
        "/BatchExecute" => "BatchExecuteStatement",
        "/BeginTransaction" => "BeginTransaction",
        "/CommitTransaction" => "CommitTransaction",
        "/RollbackTransaction" => "RollbackTransaction",
        "/ExecuteSql" => "ExecuteSql",
        _ => return None,
    })
}

impl Parameters {
    fn read(request: &Request) -> Self {
        let form = request.header("content-type").unwrap_or_default();
        let text: &[u8] = if form.starts_with("application/x-www-form-urlencoded") {
            &request.body
        } else {
            request.query.as_bytes()
        };
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.optional(name).ok_or_else(|| {
            let message = format!("The request must contain the parameter {name}.");
            Failure::new(400, "MissingParameter", &message)
        })
    }

    /// `Filters.Filter.N.Name` with its `Values.Value.M`.
    pub(crate) fn filters(&self) -> Vec<(&str, Vec<&str>)> {
        self.filters_named("Filters.Filter.", "Values.")
    }

    /// `Filter.N.Name` with its `Value.M`, as EC2 spells them.
    pub(crate) fn ec2_filters(&self) -> Vec<(&str, Vec<&str>)> {
        self.filters_named("Filter.", "Value.")
    }

    /// The values of `NAME.1` and following.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let listed = |key: &str| key.strip_prefix(name).is_some_and(|it| it.starts_with('.'));
        self.0.iter().filter(|(key, _)| listed(key)).map(|(_, value)| value.as_str()).collect()
    }

    fn filters_named(&self, start: &str, values: &str) -> Vec<(&str, Vec<&str>)> {
        let names = self.0.iter().filter_map(|(key, name)| {
            let number = key.strip_prefix(start)?.strip_suffix(".Name")?;
            Some((number, name.as_str()))
        });
        names
            .map(|(number, name)| {
                let prefix = format!("{start}{number}.{values}");
                let values = self.0.iter().filter(|(key, _)| key.starts_with(&prefix));
                (name, values.map(|(_, value)| value.as_str()).collect())
            })
            .collect()
    }
}

pub(crate) const STS_VERSION: &str = "2011-06-15";
pub(crate) const RDS_VERSION: &str = "2014-10-31";
const EC2_VERSION: &str = "2016-11-15";
const STS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const RDS: &str = "http://rds.amazonaws.com/doc/2014-10-31/";
