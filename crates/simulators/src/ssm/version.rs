//! Versions of agents and clients: four numbers.

/// Parts from left to right; others than four count as no version at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u32; 4]);

impl Version {
    pub(super) const fn new(parts: [u32; 4]) -> Self {
        Self(parts)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        parts.ok()?.try_into().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("1.2.1000.0") > version("1.2.331.0"));
        assert_eq!(version("3.1.1511.0"), Version::new([3, 1, 1511, 0]));
        for text in ["1.2.3", "1.2.3.4.5", "1.2.3.x", ""] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
