//! Whose AWS is used.

/// Whose AWS a target uses; what is absent comes from the environment and AWS's own files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aws {
    /// A profile of AWS's configuration files.
    pub profile: Option<String>,
    /// The region of calls and signatures.
    pub region: Option<String>,
    /// A role that is assumed with the credentials found.
    pub assume_role: Option<AssumeRole>,
    /// Where every service is asked, instead of AWS's own endpoints.
    pub endpoint_url: Option<String>,
}

/// A role of IAM, and how it is assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumeRole {
    /// `arn:aws:iam::ACCOUNT:role/NAME`.
    pub role_arn: String,
    /// What its trust policy asks for in `sts:ExternalId`.
    pub external_id: Option<String>,
    /// The session's name in `CloudTrail`.
    pub session_name: Option<String>,
}
