//! Which managed node a session leads to.

use std::collections::BTreeMap;

/// How the user says which node is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// This one, as `StartSession` takes it.
    Id(String),
    /// One that has all these tags, and whose agent is online.
    Tags(BTreeMap<String, String>),
}

impl Selector {
    /// A node by its id.
    ///
    /// Errors: it is no id of a node, in words.
    ///
    /// Source: API reference of Systems Manager, `StartSession`, `Target`.
    pub fn id(text: &str) -> Result<Self, String> {
        let parts = |prefix: &str| text.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        let hex = |rest: &str| rest.chars().all(|c| c.is_ascii_hexdigit());
        let plain =
            |rest: &str| rest.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        let known = parts("i-").or_else(|| parts("mi-")).is_some_and(hex)
            || parts("ecs:").is_some_and(|rest| plain(rest) && rest.matches('_').count() >= 2);
        if !known || text.len() > 400 {
            return Err(format!(
                "instance {text:?} is no managed node: it is i-…, mi-… or \
                 ecs:<cluster>_<task id>_<runtime id>"
            ));
        }
        Ok(Self::Id(text.to_owned()))
    }

    /// A node by its tag `Name`, as the console shows it.
    pub fn name(name: &str) -> Self {
        Self::Tags(BTreeMap::from([("Name".to_owned(), name.to_owned())]))
    }

    /// For messages.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Id(id) => id.clone(),
            Self::Tags(tags) => {
                let tags = tags.iter().map(|(key, value)| format!("{key}={value}"));
                format!("tagged {}", tags.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_managed_nodes_and_tasks_are_nodes() {
        for id in [
            "i-0123456789abcdef0",
            "mi-0123456789abcdef0",
            "ecs:shop_0123456789abcdef_0123456789abcdef-1234567890",
            "ecs:my_cluster_task_runtime",
        ] {
            assert_eq!(Selector::id(id), Ok(Selector::Id(id.to_owned())));
        }
    }

    #[test]
    fn anything_else_is_refused_before_the_service_is_asked() {
        for text in ["", "i-", "i-xyz", "bastion", "ecs:cluster", "ecs:a_b", "i-0 1"] {
            assert!(Selector::id(text).unwrap_err().contains("managed node"), "{text:?}");
        }
    }

    #[test]
    fn a_name_is_the_tag_of_that_name() {
        assert_eq!(Selector::name("bastion").words(), "tagged Name=bastion");
    }
}
