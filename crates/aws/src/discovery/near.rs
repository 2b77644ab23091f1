//! Names spelled like the one that does not exist.

use crate::error::AwsError;

/// As alike as two names have to be, of 1.
const ALIKE: f64 = 0.8;
const MOST: usize = 3;

/// Those of `known` that may have been meant, the likeliest first.
pub(super) fn names<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = wanted.to_ascii_lowercase();
    let mut near: Vec<(f64, &str)> = known
        .map(|name| (likeness(&wanted, name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    near.into_iter().take(MOST).map(|(_, name)| name.to_owned()).collect()
}

/// A name inside the other is likely a forgotten prefix or suffix.
fn likeness(wanted: &str, name: &str) -> f64 {
    let inside = wanted.len() >= 3 && (name.contains(wanted) || wanted.contains(name));
    let spelled = strsim::jaro_winkler(wanted, name);
    if inside { spelled.max(ALIKE) } else { spelled }
}

pub(super) fn hinted(error: AwsError, near: &[String]) -> AwsError {
    match near {
        [] => error,
        [one] => error.with_hint(format!("did you mean {one}?")),
        several => error.with_hint(format!("did you mean one of {}?", several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(wanted: &str) -> Vec<String> {
        names(wanted, ["shop-prod", "shop-stage", "billing"].into_iter())
    }

    #[test]
    fn a_slip_finds_the_name() {
        assert_eq!(near("shop-prdo").first().map(String::as_str), Some("shop-prod"));
        assert_eq!(near("BILING"), ["billing"]);
    }

    #[test]
    fn a_part_finds_every_name_with_it() {
        assert_eq!(near("shop").len(), 2);
    }

    #[test]
    fn a_strange_name_finds_nothing() {
        assert!(near("warehouse").is_empty());
    }
}
