//! Which transport lies on which: the order to make them in, and what cannot be. Pure.

use std::collections::HashMap;

use crate::{InstanceSpec, LoadError, LoadFailure};

/// Sorts instances into layers: none depends on one of its own or a later layer.
pub(crate) fn layers(specs: Vec<InstanceSpec>) -> Result<Vec<Vec<InstanceSpec>>, LoadError> {
    let mut beneath: HashMap<String, Option<String>> = HashMap::new();
    for spec in &specs {
        if beneath.insert(spec.name.clone(), spec.via.clone()).is_some() {
            return Err(LoadFailure::Duplicate.of(&spec.name));
        }
    }
    let mut layers: Vec<Vec<InstanceSpec>> = Vec::new();
    for spec in specs {
        let depth = depth(&spec.name, &beneath).map_err(|failure| failure.of(&spec.name))?;
        layers.resize_with(layers.len().max(depth), Vec::new);
        if let Some(layer) = layers.get_mut(depth - 1) {
            layer.push(spec);
        }
    }
    Ok(layers)
}

/// How many instances lie on top of each other, this one included.
fn depth(name: &str, beneath: &HashMap<String, Option<String>>) -> Result<usize, LoadFailure> {
    let mut passed = vec![name];
    let mut next = beneath.get(name).and_then(Option::as_deref);
    while let Some(via) = next {
        if let Some(start) = passed.iter().position(|earlier| *earlier == via) {
            let circle = passed.iter().skip(start).chain([&via]);
            return Err(LoadFailure::ViaCircle {
                circle: circle.map(ToString::to_string).collect(),
            });
        }
        passed.push(via);
        let below = beneath.get(via);
        let unknown = || LoadFailure::UnknownVia { via: via.to_owned() };
        next = below.ok_or_else(unknown)?.as_deref();
    }
    if passed.len() > DEEPEST {
        return Err(LoadFailure::ViaTooDeep { depth: passed.len(), limit: DEEPEST });
    }
    Ok(passed.len())
}

const DEEPEST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(pairs: &[(&str, &str)]) -> Vec<InstanceSpec> {
        let spec = |(name, via): &(&str, &str)| InstanceSpec {
            via: (!via.is_empty()).then(|| (*via).to_owned()),
            ..InstanceSpec::new(*name, "ssh")
        };
        pairs.iter().map(spec).collect()
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        layers(specs(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn what_lies_beneath_is_made_first() {
        let layers = layers(specs(&[("ssh", "ssm"), ("ssm", ""), ("other", "")])).unwrap();
        let names: Vec<Vec<_>> = layers
            .iter()
            .map(|layer| layer.iter().map(|spec| spec.name.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["ssm", "other"], vec!["ssh"]]);
    }

    #[test]
    fn a_circle_is_shown_as_one() {
        let text = refusal(&[("a", "b"), ("b", "c"), ("c", "b")]);
        assert_eq!(text, "transport a: via goes in a circle: b -> c -> b");
        assert!(refusal(&[("a", "a")]).ends_with("a -> a"));
    }

    #[test]
    fn four_layers_are_enough_for_anybody() {
        let four = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "")];
        assert_eq!(layers(specs(&four)).unwrap().len(), 4);
        let text = refusal(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "")]);
        assert!(text.contains("via is 5 deep"), "{text}");
    }

    #[test]
    fn a_via_that_names_nothing_is_named() {
        assert!(refusal(&[("a", "nobody")]).contains("\"nobody\""));
    }

    #[test]
    fn two_instances_of_one_name_are_refused() {
        assert!(refusal(&[("a", ""), ("a", "")]).contains("two transports"));
    }
}
