//! Whose AWS a target uses.

use super::super::{AssumeRole, Aws};
use super::Resolver;
use crate::error::ConfigError;
use crate::schema;

impl Resolver<'_> {
    /// The target's own settings, completed by those for all.
    pub(super) fn aws(
        &self,
        key: &str,
        all: &schema::Aws,
        own: schema::Aws,
    ) -> Result<Aws, ConfigError> {
        let role = own.assume_role.as_ref().or(all.assume_role.as_ref()).map(role);
        if let Some(role) = role.as_ref().filter(|role| !role.role_arn.starts_with("arn:")) {
            let message = format!("`{}` is no ARN of a role", role.role_arn);
            return Err(self.error(&format!("{key}.assume_role"), message));
        }
        Ok(Aws {
            profile: own.profile.or_else(|| all.profile.clone()),
            region: own.region.or_else(|| all.region.clone()),
            assume_role: role,
            endpoint_url: own.endpoint_url.or_else(|| all.endpoint_url.clone()),
        })
    }
}

fn role(role: &schema::AssumeRole) -> AssumeRole {
    match role {
        schema::AssumeRole::Arn(arn) => {
            AssumeRole { role_arn: arn.clone(), external_id: None, session_name: None }
        }
        schema::AssumeRole::Table(table) => AssumeRole {
            role_arn: table.role_arn.clone(),
            external_id: table.external_id.clone(),
            session_name: table.session_name.clone(),
        },
    }
}
