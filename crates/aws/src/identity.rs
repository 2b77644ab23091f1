//! Whose AWS a target uses.

/// Whose AWS a target uses. Everything is optional: what is absent comes from the environment, the
/// AWS configuration files and the machine, in the order of AWS's SDKs.
///
/// Equal identities share one provider and one cache of credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// A profile of `~/.aws/config` or `~/.aws/credentials`. One that is named here is the only
    /// source: keys in the environment do not win over it, as with `aws --profile`.
    pub profile: Option<String>,
    /// The region of the calls and signatures.
    pub region: Option<String>,
    /// A role that is assumed with the credentials found.
    pub assume_role: Option<AssumeRole>,
    /// Where every service is asked, instead of AWS's own endpoints.
    pub endpoint_url: Option<String>,
}

/// A role of IAM, and how it is assumed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AssumeRole {
    /// `arn:aws:iam::ACCOUNT:role/NAME`.
    pub role_arn: String,
    /// What the role's trust policy asks for in `sts:ExternalId`.
    pub external_id: Option<String>,
    /// The session's name in `CloudTrail`; `pgferry` where it is absent.
    pub session_name: Option<String>,
}
