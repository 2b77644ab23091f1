//! The Security Token Service.

use super::{
    ACCOUNT,
    call::Parameters,
    principal::{Principal, Principals},
    reply::{Failure, Success},
    xml::{element, text},
};
use crate::sigv4::extended;

pub(super) fn get_caller_identity(caller: &Principal) -> Success {
    Success::Xml(
        [text("Arn", &caller.arn), text("UserId", &caller.user_id), text("Account", ACCOUNT)]
            .concat(),
    )
}

/// Errors: the same refusal whether the role is unknown, the caller may not, or the external id is
/// wrong, so that nobody can find out roles by asking.
pub(super) fn assume_role(
    caller: &Principal,
    parameters: &Parameters,
    principals: &mut Principals,
    now: u64,
) -> Result<Success, Failure> {
    let arn = parameters.required("RoleArn")?;
    let (session, ends) = session(parameters, now)?;
    let external_id = parameters.optional("ExternalId");
    let role = principals.roles.iter().find(|role| role.arn == arn).cloned();
    let role = role
        .filter(|role| role.external_id.is_none() || role.external_id.as_deref() == external_id);
    let Some(role) = role.filter(|_| caller.may("sts:AssumeRole")) else {
        return Err(Failure::access_denied(&format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
            caller.arn
        )));
    };
    let assumed = principals.add_session((name(&role.arn), session), role.allow, ends);
    Ok(Success::Xml(described(&assumed)))
}

/// Not signed: the token is the proof.
pub(super) fn assume_role_with_web_identity(
    parameters: &Parameters,
    principals: &mut Principals,
    now: u64,
) -> Result<Success, Failure> {
    let arn = parameters.required("RoleArn")?;
    let token = parameters.required("WebIdentityToken")?;
    let (session, ends) = session(parameters, now)?;
    let mut trusting =
        principals.roles.iter().filter(|role| role.web_tokens.iter().any(|it| it == token));
    if trusting.clone().next().is_none() {
        let message = "The web identity token that was passed could not be validated";
        return Err(Failure::new(400, "InvalidIdentityToken", message));
    }
    let Some(role) = trusting.find(|role| role.arn == arn).cloned() else {
        let message = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
        return Err(Failure::access_denied(message));
    };
    let assumed = principals.add_session((name(&role.arn), session), role.allow, ends);
    Ok(Success::Xml(described(&assumed)))
}

fn session(parameters: &Parameters, now: u64) -> Result<(&str, u64), Failure> {
    let session = parameters.required("RoleSessionName")?;
    let fitting = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
    if !(2..=64).contains(&session.len()) || !session.chars().all(fitting) {
        return Err(invalid(session, "roleSessionName", "[\\w+=,.@-]*"));
    }
    let seconds = parameters.optional("DurationSeconds").unwrap_or("3600");
    match seconds.parse() {
        Ok(life @ 900..=3600) => Ok((session, now + life)),
        Ok(3601..=43200) => {
            let message =
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            Err(Failure::new(400, "ValidationError", message))
        }
        _ => Err(invalid(seconds, "durationSeconds", "between 900 and 43200")),
    }
}

fn invalid(value: &str, name: &str, constraint: &str) -> Failure {
    let message = format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: \
         {constraint}"
    );
    Failure::new(400, "ValidationError", &message)
}

fn name(role_arn: &str) -> &str {
    role_arn.rsplit('/').next().unwrap_or(role_arn)
}

fn described(assumed: &Principal) -> String {
    let credentials = &assumed.credentials;
    let credentials = [
        text("AccessKeyId", &credentials.access_key_id),
        text("SecretAccessKey", &credentials.secret_access_key),
        text("SessionToken", credentials.session_token.as_deref().unwrap_or_default()),
        text("Expiration", &extended(assumed.ends.unwrap_or_default())),
    ];
    let user = [text("AssumedRoleId", &assumed.user_id), text("Arn", &assumed.arn)];
    element("Credentials", &credentials.concat()) + &element("AssumedRoleUser", &user.concat())
}
