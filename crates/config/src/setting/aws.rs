//! Whose AWS a target uses, where the target itself does not say it.

use pgferry_endpoint::Endpoint;

use super::{Origin, Setting, path, variable};
use crate::entry::{Entry, Step, dotted};
use crate::plan::{Location, Plan, Target};

/// Rows for profile and region of every target that uses AWS: from the table for all, from the
/// endpoint's name, or left to AWS's own files and variables.
pub(super) fn inherited(entries: &[Entry], plan: &Plan) -> Vec<(Vec<Step>, Setting)> {
    let of_target = |target: &Target| {
        ["profile", "region"].map(|key| {
            let path = path(&["targets", &target.name, "aws", key]);
            let setting = row(entries, target, key, dotted(&path));
            (path, setting)
        })
    };
    plan.targets.iter().filter(|target| target.uses_aws(plan)).flat_map(of_target).collect()
}

fn row(entries: &[Entry], target: &Target, key: &str, name: String) -> Setting {
    if let Some(all) = entries.iter().find(|entry| entry.keys() == ["aws", key]) {
        let (value, origin) = (all.value.clone(), Origin::Line(all.line));
        return Setting { key: name, value, note: None, origin };
    }
    let of_endpoint = match &target.database.location {
        Location::Host(host) if key == "region" => Endpoint::parse(host).region,
        _ => None,
    };
    let (value, note) = match (of_endpoint, key) {
        (Some(region), _) => (region, "by the name of the endpoint".to_owned()),
        (None, "profile") => {
            (AWSS_OWN.to_owned(), format!("AWS_PROFILE is {}", variable("AWS_PROFILE")))
        }
        (None, _) => (AWSS_OWN.to_owned(), format!("AWS_REGION is {}", variable("AWS_REGION"))),
    };
    Setting { key: name, value: value.into(), note: Some(note), origin: Origin::Default }
}

/// What the SDKs of AWS would take: variables, files, the machine they run on.
const AWSS_OWN: &str = "AWS's own";
