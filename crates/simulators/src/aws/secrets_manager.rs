//! Secrets Manager: secrets, their versions and the labels on them.

use serde_json::{Map, Value, json};

use super::{
    ACCOUNT,
    principal::{Principal, random},
    reply::{Failure, Success},
};
use crate::sigv4::sha256_hex;

#[derive(Default)]
pub(crate) struct Vault {
    pub(crate) secrets: Vec<Secret>,
}

// No Debug: the habit of printing structs must not print values.
pub(crate) struct Secret {
    pub(crate) arn: String,
    pub(crate) name: String,
    /// Encrypted with a key of the account's own, so that reading takes `kms:Decrypt`.
    pub(crate) own_key: bool,
    versions: Vec<Version>,
}

struct Version {
    id: String,
    value: String,
    stages: Vec<&'static str>,
    created: u64,
}

impl Vault {
    /// Returns the new secret's ARN.
    pub(crate) fn add(&mut self, name: &str, value: &str, region: &str, now: u64) -> String {
        let suffix = random(6);
        let arn = format!("arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-{suffix}");
        let current = Version::new(value, CURRENT, now);
        let name = name.to_owned();
        let secret = Secret { arn: arn.clone(), name, own_key: false, versions: vec![current] };
        self.secrets.push(secret);
        arn
    }

    /// By name, ARN, or ARN without the six random characters at its end.
    pub(crate) fn find(&self, id: &str) -> Option<&Secret> {
        self.secrets.iter().find(|secret| secret.is(id))
    }

    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut Secret> {
        self.secrets.iter_mut().find(|secret| secret.is(id))
    }
}

impl Secret {
    fn is(&self, id: &str) -> bool {
        let partial = self.arn.rsplit_once('-').map(|(start, _)| start);
        id == self.name || id == self.arn || partial == Some(id)
    }

    pub(crate) fn current(&self) -> Option<&str> {
        self.at_stage(CURRENT).map(|version| version.value.as_str())
    }

    fn at_stage(&self, stage: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.stages.contains(&stage))
    }

    /// Adds a version that is to be the current one. One that was pending before loses its label.
    pub(crate) fn set_pending(&mut self, value: &str, now: u64) {
        self.unlabel(PENDING);
        self.versions.push(Version::new(value, PENDING, now));
    }

    /// Moves the labels: the pending version is the current one, the current one the previous.
    pub(crate) fn promote_pending(&mut self) {
        if self.at_stage(PENDING).is_none() {
            return;
        }
        self.unlabel(PREVIOUS);
        for version in &mut self.versions {
            for stage in &mut version.stages {
                *stage = match *stage {
                    CURRENT => PREVIOUS,
                    PENDING => CURRENT,
                    other => other,
                };
            }
        }
    }

    fn unlabel(&mut self, stage: &str) {
        for version in &mut self.versions {
            version.stages.retain(|other| *other != stage);
        }
    }

    fn version(&self, request: &Value) -> Result<&Version, Failure> {
        let stage = request.get("VersionStage").and_then(Value::as_str);
        let Some(id) = request.get("VersionId").and_then(Value::as_str) else {
            let stage = stage.unwrap_or(CURRENT);
            return self.at_stage(stage).ok_or_else(|| {
                not_found(&format!(
                    "Secrets Manager can't find the specified secret value for staging label: \
                     {stage}"
                ))
            });
        };
        let version = self.versions.iter().find(|version| version.id == id).ok_or_else(|| {
            not_found(&format!(
                "Secrets Manager can't find the specified secret value for VersionId: {id}"
            ))
        })?;
        if stage.is_some_and(|stage| !version.stages.contains(&stage)) {
            let message =
                "You provided a VersionStage that is not associated to the provided VersionId.";
            return Err(Failure::new(400, "InvalidRequestException", message));
        }
        Ok(version)
    }
}

impl Version {
    fn new(value: &str, stage: &'static str, created: u64) -> Self {
        let digits = sha256_hex(random(32).as_bytes());
        let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
        let id = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
        Self { id, value: value.to_owned(), stages: vec![stage], created }
    }
}

pub(super) fn get_secret_value(
    caller: &Principal,
    request: &Value,
    vault: &Vault,
) -> Result<Success, Failure> {
    let secret = permitted(caller, "secretsmanager:GetSecretValue", request, vault)?;
    let version = secret.version(request)?;
    if secret.own_key && !caller.may("kms:Decrypt") {
        return Err(Failure::new(400, "AccessDeniedException", "Access to KMS is not allowed"));
    }
    Ok(Success::Json(json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": version.id,
        "SecretString": version.value,
        "VersionStages": version.stages,
        "CreatedDate": version.created,
    })))
}

pub(super) fn describe_secret(
    caller: &Principal,
    request: &Value,
    vault: &Vault,
) -> Result<Success, Failure> {
    let secret = permitted(caller, "secretsmanager:DescribeSecret", request, vault)?;
    let labelled = secret.versions.iter().filter(|version| !version.stages.is_empty());
    let stages: Map<String, Value> =
        labelled.map(|version| (version.id.clone(), json!(version.stages))).collect();
    let managed = secret.name.starts_with("rds!");
    let mut reply = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "RotationEnabled": managed,
        "LastChangedDate": secret.versions.iter().map(|version| version.created).max(),
        "VersionIdsToStages": stages,
    });
    if let (true, Some(reply)) = (managed, reply.as_object_mut()) {
        reply.insert("OwningService".to_owned(), json!("rds"));
    }
    Ok(Success::Json(reply))
}

fn permitted<'a>(
    caller: &Principal,
    action: &str,
    request: &Value,
    vault: &'a Vault,
) -> Result<&'a Secret, Failure> {
    let id = request.get("SecretId").and_then(Value::as_str).ok_or_else(|| {
        let message = "1 validation error detected: Value null at 'secretId' failed to satisfy \
                       constraint: Member must not be null";
        Failure::new(400, "ValidationException", message)
    })?;
    let secret = vault.find(id);
    // Who may not ask does not learn what there is.
    caller.check(action, secret.map_or(id, |secret| &secret.arn))?;
    secret.ok_or_else(|| not_found("Secrets Manager can't find the specified secret."))
}

fn not_found(message: &str) -> Failure {
    Failure::new(400, "ResourceNotFoundException", message)
}

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";
const PREVIOUS: &str = "AWSPREVIOUS";
