//! What the name of a database endpoint says about it. Pure.

/// A database endpoint of AWS, as far as its name tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What answers there.
    pub kind: Kind,
    /// Its region. A global endpoint carries none, nor does a name that is not AWS's.
    pub region: Option<String>,
}

/// What answers at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The writer of an Aurora or Multi-AZ cluster, whichever instance that is.
    Writer,
    /// One of a cluster's readers; the writer where there is none.
    Reader,
    /// One of the instances that the owner of a custom endpoint chose.
    Custom,
    /// One instance.
    Instance,
    /// RDS Proxy, by its default endpoint or by another one.
    Proxy,
    /// The router of a Limitless shard group.
    Limitless,
    /// The writer of an Aurora global database, in whichever region that is.
    Global,
    /// Aurora DSQL.
    Dsql,
    /// No name of AWS's: an address, an alias, another host.
    Other,
}

impl Kind {
    /// Whether it leads to whichever instance of several.
    pub fn is_one_of_several(self) -> bool {
        matches!(self, Self::Reader | Self::Custom | Self::Limitless)
    }

    /// Whether its certificate is signed by Amazon Trust Services, not by RDS's own authorities.
    pub fn has_public_certificate(self) -> bool {
        matches!(self, Self::Proxy | Self::Dsql)
    }
}

/// The domains of AWS's partitions: commercial with `GovCloud`, China, the European sovereign cloud
/// and the isolated ones. Source: the partitions of AWS's endpoint rules (`dnsSuffix`).
const DOMAINS: [&str; 7] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".csp.hci.ic.gov",
    ".cloud.adc-e.uk",
];

/// The mark in front of a cluster's or proxy's own letters, the longer ones first.
const MARKS: [(&str, Kind); 6] = [
    ("cluster-custom-", Kind::Custom),
    ("cluster-ro-", Kind::Reader),
    ("cluster-", Kind::Writer),
    ("proxy-", Kind::Proxy),
    ("shardgrp-", Kind::Limitless),
    ("global-", Kind::Global),
];

impl Endpoint {
    /// Reads a host name, in any case and with or without the final dot.
    ///
    /// Source: "Aurora endpoint connections" of the Aurora user guide for the marks, the DSQL user
    /// guide for `.dsql.REGION.on.aws`. China writes `rds` before the region as well as after it.
    pub fn parse(host: &str) -> Self {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        dsql(&host).or_else(|| rds(&host)).unwrap_or(Self { kind: Kind::Other, region: None })
    }
}

/// `ID.dsql.REGION.on.aws`; behind `PrivateLink` the second label has letters of its own.
fn dsql(host: &str) -> Option<Endpoint> {
    let labels: Vec<&str> = host.strip_suffix(".on.aws")?.split('.').collect();
    match labels.as_slice() {
        [id, service, region]
            if !id.is_empty()
                && (*service == "dsql" || service.starts_with("dsql-"))
                && is_region(region) =>
        {
            Some(Endpoint { kind: Kind::Dsql, region: Some((*region).to_owned()) })
        }
        _ => None,
    }
}

/// `NAME.[MARK]LETTERS.REGION.rds.DOMAIN`.
fn rds(host: &str) -> Option<Endpoint> {
    let name = DOMAINS.iter().find_map(|domain| host.strip_suffix(domain))?;
    let labels: Vec<&str> = name.split('.').collect();
    let (before, region) = match labels.as_slice() {
        [before @ .., region, "rds"] | [before @ .., "rds", region] => (before, *region),
        _ => return None,
    };
    let kind = match before {
        // Another endpoint of a proxy: NAME.endpoint.proxy-LETTERS.
        [name, "endpoint", letters] if !name.is_empty() && letters.starts_with("proxy-") => {
            Kind::Proxy
        }
        [name, letters] if !name.is_empty() && !letters.is_empty() => MARKS
            .iter()
            .find(|(mark, _)| letters.starts_with(mark))
            .map_or(Kind::Instance, |(_, kind)| *kind),
        _ => return None,
    };
    match kind {
        Kind::Global if region == "global" => Some(Endpoint { kind, region: None }),
        _ => is_region(region).then(|| Endpoint { kind, region: Some(region.to_owned()) }),
    }
}

/// `us-east-1`, `us-gov-west-1`, `ap-southeast-7`: letters, dashes, a number at the end.
fn is_region(text: &str) -> bool {
    let Some((place, number)) = text.rsplit_once('-') else { return false };
    place.contains('-')
        && place.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(host: &str) -> (Kind, Option<String>) {
        let Endpoint { kind, region } = Endpoint::parse(host);
        (kind, region)
    }

    fn is(host: &str, kind: Kind, region: &str) {
        let region = (!region.is_empty()).then(|| region.to_owned());
        assert_eq!(parsed(host), (kind, region), "{host}");
    }

    #[test]
    fn the_mark_tells_the_kind_and_the_label_before_rds_the_region() {
        let east = "us-east-1.rds.amazonaws.com";
        is(&format!("db.cluster-c9abc.{east}"), Kind::Writer, "us-east-1");
        is(&format!("db.cluster-ro-c9abc.{east}"), Kind::Reader, "us-east-1");
        is(&format!("db.cluster-custom-c9abc.{east}"), Kind::Custom, "us-east-1");
        is(&format!("db-1.c9abc.{east}"), Kind::Instance, "us-east-1");
        is(&format!("p.proxy-c9abc.{east}"), Kind::Proxy, "us-east-1");
        is(&format!("p-ro.endpoint.proxy-c9abc.{east}"), Kind::Proxy, "us-east-1");
        is(&format!("s.shardgrp-c9abc.{east}"), Kind::Limitless, "us-east-1");
    }

    #[test]
    fn other_partitions_have_other_domains_and_china_two_orders() {
        is("db.c9abc.us-gov-west-1.rds.amazonaws.com", Kind::Instance, "us-gov-west-1");
        let china = Kind::Writer;
        is("db.cluster-c9.rds.cn-north-1.amazonaws.com.cn", china, "cn-north-1");
        is("db.cluster-c9.cn-northwest-1.rds.amazonaws.com.cn", china, "cn-northwest-1");
        is("db.c9abc.eusc-de-east-1.rds.amazonaws.eu", Kind::Instance, "eusc-de-east-1");
        is("db.c9abc.us-iso-east-1.rds.c2s.ic.gov", Kind::Instance, "us-iso-east-1");
    }

    #[test]
    fn a_global_endpoint_names_no_region() {
        is("g.global-c9abc.global.rds.amazonaws.com", Kind::Global, "");
        // `global` is no region of anything else.
        is("g.cluster-c9abc.global.rds.amazonaws.com", Kind::Other, "");
    }

    #[test]
    fn dsql_has_a_domain_of_its_own() {
        let id = "abtxyz4u5k6m7n8o9p0qrstuvw";
        is(&format!("{id}.dsql.us-west-2.on.aws"), Kind::Dsql, "us-west-2");
        is(&format!("{id}.dsql-fnh4.eu-west-1.on.aws"), Kind::Dsql, "eu-west-1");
    }

    #[test]
    fn case_and_a_final_dot_do_not_matter() {
        is("DB.C9ABC.EU-Central-1.RDS.AmazonAWS.com.", Kind::Instance, "eu-central-1");
    }

    #[test]
    fn everything_else_is_no_endpoint_of_aws() {
        for host in [
            "localhost",
            "10.0.0.7",
            "::1",
            "",
            ".",
            "db.example.com",
            "rds.amazonaws.com",
            "us-east-1.rds.amazonaws.com",
            "c9abc.us-east-1.rds.amazonaws.com",
            ".c9abc.us-east-1.rds.amazonaws.com",
            "db..us-east-1.rds.amazonaws.com",
            "db.c9abc.us-east-1.rds.amazonaws.com.evil.example",
            "db.c9abc.us-east-1.rdsxamazonaws.com",
            "db.c9abc.nowhere.rds.amazonaws.com",
            "x.dsql.us-west-2.on.aws.example",
            "dsql.us-west-2.on.aws",
        ] {
            is(host, Kind::Other, "");
        }
    }

    #[test]
    fn only_some_endpoints_lead_to_one_of_several_instances() {
        assert!(Kind::Reader.is_one_of_several() && Kind::Custom.is_one_of_several());
        assert!(!Kind::Writer.is_one_of_several() && !Kind::Instance.is_one_of_several());
        assert!(Kind::Proxy.has_public_certificate() && !Kind::Writer.has_public_certificate());
    }
}
