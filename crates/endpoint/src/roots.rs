//! The certificate authorities of AWS's databases, and which of them an endpoint's name calls for.

use std::fmt::{self, Display, Formatter};

use crate::name::{Endpoint, Kind};

/// Whose signature on an endpoint's certificate counts unless the user names others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roots {
    /// RDS's own authorities in one region.
    Rds(&'static str),
    /// RDS's own authorities in every region of this build.
    EveryRds,
    /// Amazon Trust Services.
    AmazonTrust,
    /// Whatever the machine believes.
    System,
}

/// A region whose authorities this build does not have. Nobody's fault: the user has to supply them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRoots {
    /// The region.
    pub region: String,
}

macro_rules! regions {
    ($($region:literal)*) => {
        &[$(($region, include_str!(concat!("../roots/", $region, ".pem")))),*]
    };
}

/// RDS has three authorities in each region. Source: "Certificate authorities" of the RDS user guide.
const RDS: &[(&str, &str)] = regions! {
    "af-south-1" "ap-east-1" "ap-northeast-1" "ap-northeast-2" "ap-northeast-3" "ap-south-1"
    "ap-south-2" "ap-southeast-1" "ap-southeast-2" "ap-southeast-3" "ap-southeast-4"
    "ca-central-1" "eu-central-1" "eu-central-2" "eu-north-1" "eu-south-1" "eu-south-2"
    "eu-west-1" "eu-west-2" "eu-west-3" "me-central-1" "me-south-1" "sa-east-1" "us-east-1"
    "us-east-2" "us-west-1" "us-west-2"
};

const AMAZON_TRUST: &str = include_str!("../roots/amazon-trust.pem");

impl Roots {
    /// Those that belong to a host name.
    ///
    /// A certificate of RDS counts in its own region alone. The one exception is a global endpoint,
    /// which leads to whichever region has the writer. RDS Proxy and DSQL have certificates of
    /// AWS's public authority. Source: "Using TLS/SSL with RDS Proxy" of the Aurora user guide, the
    /// DSQL user guide.
    pub fn of(host: &str) -> Result<Self, NoRoots> {
        let Endpoint { kind, region } = Endpoint::parse(host);
        match (kind, region) {
            (Kind::Proxy | Kind::Dsql, _) => Ok(Self::AmazonTrust),
            (Kind::Other, _) => Ok(Self::System),
            (Kind::Global, _) | (_, None) => Ok(Self::EveryRds),
            (
                Kind::Writer | Kind::Reader | Kind::Custom | Kind::Instance | Kind::Limitless,
                Some(region),
            ) => match RDS.iter().find(|(known, _)| *known == region) {
                Some((known, _)) => Ok(Self::Rds(known)),
                None => Err(NoRoots { region }),
            },
        }
    }

    /// Their certificates, in PEM. None for [`Roots::System`]: those are not ours to give.
    pub fn pem(self) -> impl Iterator<Item = &'static str> {
        let rds = RDS.iter().filter(move |(region, _)| match self {
            Self::Rds(one) => *region == one,
            Self::EveryRds => true,
            Self::AmazonTrust | Self::System => false,
        });
        let trust = (self == Self::AmazonTrust).then_some(AMAZON_TRUST);
        rds.map(|(_, pem)| *pem).chain(trust)
    }
}

impl Display for Roots {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rds(region) => write!(f, "RDS's roots for {region}"),
            Self::EveryRds => f.write_str("RDS's roots for every region"),
            Self::AmazonTrust => f.write_str("Amazon Trust Services' roots"),
            Self::System => f.write_str("the system's trust store"),
        }
    }
}

impl NoRoots {
    /// Where AWS publishes them, if the way there is known: isolated partitions have their own.
    ///
    /// Source: "Certificate bundles by AWS Region" of the RDS user guide, and its Chinese edition.
    fn bundle(&self) -> Option<String> {
        let region = self.region.as_str();
        let place = match region {
            _ if region.starts_with("cn-") => "rds-truststore.s3.cn-north-1.amazonaws.com.cn",
            _ if region.starts_with("us-gov-") => "truststore.pki.us-gov-west-1.rds.amazonaws.com",
            _ if region.contains("-iso") || region.starts_with("eusc-") => return None,
            _ => "truststore.pki.rds.amazonaws.com",
        };
        Some(format!("https://{place}/{region}/{region}-bundle.pem"))
    }
}

impl Display for NoRoots {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { region } = self;
        let place = self.bundle().unwrap_or_else(|| "where that partition publishes it".to_owned());
        write!(
            f,
            "this build has no root certificate of RDS for the region {region}; get its bundle \
             ({place}) and name the file in database.ca_file"
        )
    }
}

impl std::error::Error for NoRoots {}

#[cfg(test)]
mod tests;
