//! Why a signature is not accepted.

/// What is wrong with a request's signature. The words are AWS's where it has any.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing is signed.
    #[error("Request is missing Authentication Token")]
    Missing,
    /// A part of the signature is missing or malformed.
    #[error("{0}")]
    Incomplete(String),
    /// A header that has to be signed is not.
    #[error("'{0}' must be a 'SignedHeader' in the AWS Authorization.")]
    Unsigned(String),
    /// The credential scope names another day than the date.
    #[error("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date")]
    ScopeDate,
    /// The credential scope names another region.
    #[error("Credential should be scoped to a valid region. ")]
    Region {
        /// The region it names.
        signed: String,
    },
    /// The credential scope names another service.
    #[error("Credential should be scoped to correct service: '{service}'. ")]
    Service {
        /// The right one.
        service: String,
    },
    /// It was signed too long ago.
    #[error("Signature expired: {signed} is now earlier than {limit} ({now} - {allowed} min.)")]
    Expired {
        /// When it was signed.
        signed: String,
        /// The earliest acceptable time.
        limit: String,
        /// The service's time.
        now: String,
        /// Minutes.
        allowed: u64,
    },
    /// It was signed in the future.
    #[error("Signature not yet current: {signed} is still later than {limit} ({now} + 5 min.)")]
    NotYetCurrent {
        /// When it was signed.
        signed: String,
        /// The latest acceptable time.
        limit: String,
        /// The service's time.
        now: String,
    },
    /// A presigned request asks for a longer life than there is.
    #[error("X-Amz-Expires must be between 1 and {limit} seconds")]
    Lifetime {
        /// Seconds.
        limit: u64,
    },
    /// The payload is not the one whose hash was signed.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    Payload,
    /// The signature is not the key's over this request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}
