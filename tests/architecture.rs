//! What may depend on what, held against what Cargo knows.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Every crate of ours: what its code may use, and what its tests may use besides.
///
/// A new edge changes the architecture: it belongs into ARCHITECTURE.md too.
const ALLOWED: &[(&str, &[&str], &[&str])] = &[
    (
        "pgferry",
        &[
            "pgferry-aws",
            "pgferry-config",
            "pgferry-credentials",
            "pgferry-local-ca",
            "pgferry-pg",
            "pgferry-plugin-data-api",
            "pgferry-plugin-ssh",
            "pgferry-plugin-ssm",
            "pgferry-proxy",
            "pgferry-telemetry",
            "pgferry-transport",
            "pgferry-transport-abi",
            "pgferry-transport-sdk",
        ],
        &["pgferry-example-tcp", "pgferry-simulators", "pgferry-test-features"],
    ),
    (
        "pgferry-proxy",
        &[
            "pgferry-config",
            "pgferry-credentials",
            "pgferry-endpoint",
            "pgferry-local-ca",
            "pgferry-pg",
            "pgferry-telemetry",
            "pgferry-transport",
        ],
        &["pgferry-simulators", "pgferry-test-features"],
    ),
    ("pgferry-transport", &["pgferry-transport-abi"], &["pgferry-simulators"]),
    ("pgferry-transport-sdk", &["pgferry-transport-abi"], &["pgferry-simulators"]),
    ("pgferry-transport-aws", &["pgferry-transport-sdk"], &["pgferry-test-features"]),
    (
        "pgferry-plugin-data-api",
        &[
            "pgferry-pg",
            "pgferry-sql",
            "pgferry-transport-aws",
            "pgferry-transport-sdk",
            "pgferry-values",
        ],
        &["pgferry-simulators", "pgferry-test-features"],
    ),
    (
        "pgferry-plugin-ssh",
        &["pgferry-transport-aws", "pgferry-transport-sdk"],
        &["pgferry-simulators", "pgferry-test-features"],
    ),
    (
        "pgferry-plugin-ssm",
        &["pgferry-ssm-protocol", "pgferry-transport-aws", "pgferry-transport-sdk"],
        &["pgferry-simulators", "pgferry-test-features"],
    ),
    ("pgferry-example-tcp", &["pgferry-transport-sdk"], &[]),
    ("pgferry-pg", &[], &[]),
    ("pgferry-config", &["pgferry-endpoint"], &[]),
    (
        "pgferry-credentials",
        &["pgferry-aws", "pgferry-endpoint"],
        &["pgferry-simulators", "pgferry-test-features"],
    ),
    ("pgferry-aws", &["pgferry-endpoint"], &["pgferry-simulators", "pgferry-test-features"]),
    ("pgferry-endpoint", &[], &[]),
    ("pgferry-local-ca", &[], &[]),
    ("pgferry-telemetry", &[], &[]),
    ("pgferry-transport-abi", &[], &[]),
    ("pgferry-simulators", &[], &[]),
    ("pgferry-sql", &[], &["pgferry-simulators"]),
    ("pgferry-values", &[], &["pgferry-simulators"]),
    ("pgferry-ssm-protocol", &[], &[]),
    ("pgferry-test-features", &[], &[]),
    // The measuring harness drives the binary from outside, as tests do.
    ("pgferry-bench", &["pgferry-simulators"], &["pgferry-pg"]),
];

/// A second TLS stack, or a second cryptography beside aws-lc-rs.
const BANNED: &[&str] =
    &["openssl", "openssl-sys", "native-tls", "ring", "boring", "libssh2-sys", "mbedtls"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn members() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    metadata.packages
}

#[test]
fn every_edge_between_our_crates_is_one_the_architecture_allows() {
    let members = members();
    let ours: BTreeSet<&str> = members.iter().map(|package| package.name.as_str()).collect();
    let allowed: BTreeMap<_, _> =
        ALLOWED.iter().map(|(name, code, tests)| (*name, (*code, *tests))).collect();
    let mut wrong = Vec::new();
    for package in &members {
        let name = package.name.as_str();
        let Some((code, tests)) = allowed.get(name) else {
            wrong.push(format!("{name} is new: say in this test what it may use"));
            continue;
        };
        for dependency in &package.dependencies {
            let used = dependency.name.as_str();
            let in_tests = dependency.kind == DependencyKind::Development;
            let fine = code.contains(&used) || in_tests && tests.contains(&used);
            if ours.contains(used) && !fine {
                wrong.push(format!("{name} may not use {used} ({:?})", dependency.kind));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_crate_the_architecture_names_is_there() {
    let members = members();
    for (name, code, tests) in ALLOWED {
        for name in [name].into_iter().chain(*code).chain(*tests) {
            let found = members.iter().any(|package| package.name.as_str() == *name);
            assert!(found, "{name} is gone: take it out of this test");
        }
    }
}

#[test]
fn whoever_builds_on_the_sdk_of_aws_tests_with_the_shared_features() {
    let members = members();
    let users = members.iter().filter(|package| uses_the_sdk(package, &members));
    for package in users.filter(|package| package.name != "pgferry-test-features") {
        let shares = package.dependencies.iter().any(|used| used.name == "pgferry-test-features");
        assert!(
            shares,
            "{}: give it pgferry-test-features as a dev-dependency, or testing it alone compiles \
             the SDK a second time",
            package.name
        );
    }
}

/// Itself, or through crates of ours.
fn uses_the_sdk(package: &Package, members: &[Package]) -> bool {
    let code = package.dependencies.iter().filter(|used| used.kind == DependencyKind::Normal);
    code.map(|used| used.name.as_str()).any(|used| {
        let ours = members.iter().find(|member| member.name.as_str() == used);
        used.starts_with("aws-sdk-") || ours.is_some_and(|member| uses_the_sdk(member, members))
    })
}

#[test]
fn the_build_has_one_tls_stack() {
    let crates = crates_in_the_build();
    for required in ["rustls", "aws-lc-rs", "tokio-rustls", "russh"] {
        assert!(crates.contains_key(required), "{required} is not in the build");
    }
    let found: Vec<_> = BANNED.iter().filter(|name| crates.contains_key(**name)).collect();
    assert!(found.is_empty(), "{found:?}: rustls with aws-lc-rs is the one TLS stack");
    for version in &crates["rustls"] {
        assert!(version.starts_with("v0.23."), "a second rustls: {version}");
    }
    assert_eq!(crates["rustls"].len(), 1, "rustls twice: {:?}", crates["rustls"]);
}

/// Name and versions, as Cargo's current resolver has them: `cargo metadata` also lists optional
/// crates that are never built.
fn crates_in_the_build() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--workspace", "--all-features", "--prefix", "none"])
        .args(["--edges", "normal,build", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo tree starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        crates.entry(name.to_owned()).or_default().insert(version.to_owned());
    }
    crates
}

#[test]
fn no_profile_ends_the_process_at_a_panic() {
    let mut manifests = vec![root().join("Cargo.toml")];
    manifests.extend(members().into_iter().map(|package| package.manifest_path.into()));
    manifests.extend([root().join(".cargo/config.toml")].into_iter().filter(|file| file.exists()));
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).expect("a manifest");
        let table: toml::Table = text.parse().expect("TOML");
        let mut settings = Vec::new();
        if let Some(profiles) = table.get("profile") {
            collect_panic_settings(profiles, &mut settings);
        }
        let ends = settings.iter().any(|setting| setting != "unwind");
        assert!(!ends, "{}: a plugin's panic has to be caught at the border", manifest.display());
    }
}

/// The value of every `panic` key, wherever it stands.
fn collect_panic_settings(value: &toml::Value, found: &mut Vec<String>) {
    let Some(table) = value.as_table() else { return };
    for (key, value) in table {
        match value.as_str() {
            Some(setting) if key == "panic" => found.push(setting.to_owned()),
            _ => collect_panic_settings(value, found),
        }
    }
}
