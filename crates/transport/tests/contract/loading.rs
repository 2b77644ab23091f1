//! What the loader takes, and in which words it refuses the rest.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use pgferry_transport::{InstanceSpec, PluginSource, SearchPath, inspect};

use crate::harness::{compile, hostile, refusal, start};

fn spec(kind: &str, path: &Path) -> InstanceSpec {
    InstanceSpec { path: Some(path.to_path_buf()), ..InstanceSpec::new("t", kind) }
}

fn text(kind: &str, path: &Path) -> String {
    refusal(vec![spec(kind, path)], SearchPath::only([])).to_string()
}

/// A copy of the hostile plugin, to do things to.
fn copy() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("libpgferry_transport_hostile.so");
    std::fs::copy(hostile(), &path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    (dir, path)
}

fn defect(define: &str) -> String {
    let (_dir, path) = compile("defective", "defective", &[&format!("DEFECT={define}")]);
    text("defective", &path)
}

#[tokio::test]
async fn a_descriptor_of_the_wrong_size_is_refused_with_both_sizes() {
    let text = defect(".struct_size=40");
    assert!(text.contains("its descriptor has 40 bytes, contract 1.0 has 96"), "{text}");
    assert!(defect(".struct_size=4").contains("has 4 bytes"));
}

#[tokio::test]
async fn another_major_is_refused_with_both_majors() {
    let text = defect(".abi_major=2");
    assert!(text.contains("it was built for contract 2, this program has 1"), "{text}");
}

#[tokio::test]
async fn a_plugin_that_needs_a_later_host_is_refused_with_both_minors() {
    let text = defect(".min_host_minor=9");
    assert!(text.contains("needs contract 1.9 or later, this program has 1.0"), "{text}");
}

#[tokio::test]
async fn missing_entries_and_names_are_refused_politely() {
    assert!(defect(".open=0").contains("its open is missing"));
    assert!(defect(".destroy=0").contains("its destroy is missing"));
    assert!(defect(".version=0").contains("its version is missing"));
    assert!(defect(".name=\"other\"").contains("it calls itself \"other\""));
}

#[tokio::test]
async fn an_entry_without_a_descriptor_is_refused() {
    let defines = ["DEFECT=.reserved=0", "NOTHING"];
    let (_dir, path) = compile("defective", "defective", &defines);
    assert!(text("defective", &path).contains("its entry gave no descriptor"));
}

#[tokio::test]
async fn an_undefined_function_is_named_at_load() {
    let (_dir, path) = compile("undefined", "undefined", &[]);
    let text = text("undefined", &path);
    assert!(text.contains("undefined symbol: nobody_defines_this"), "{text}");
}

#[tokio::test]
async fn a_library_without_the_plugins_symbol_is_refused() {
    let text = text("ssh", &hostile());
    assert!(text.contains("does not export pgferry_transport_ssh_v1: "), "{text}");
    assert!(text.contains("undefined symbol"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_library_is_refused_in_the_loaders_words() {
    let (_dir, path) = copy();
    std::fs::write(&path, "#!/bin/sh\n").unwrap();
    let text = text("hostile", &path);
    assert!(text.contains("file too short") || text.contains("invalid ELF header"), "{text}");
}

#[tokio::test]
async fn a_file_that_others_can_write_is_refused_with_the_remedy() {
    let (_dir, path) = copy();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    let text = text("hostile", &path);
    let remedy = format!("(mode 0777); try: chmod go-w '{}'", path.display());
    assert!(text.ends_with(&remedy), "{text}");
}

#[tokio::test]
async fn a_directory_that_others_can_write_is_refused_even_behind_a_link() {
    let (dir, path) = copy();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let links = tempfile::tempdir().unwrap();
    let link = links.path().join("libpgferry_transport_hostile.so");
    symlink(&path, &link).unwrap();
    let text = text("hostile", &link);
    let remedy = format!("try: chmod go-w '{}'", dir.path().display());
    assert!(text.ends_with(&remedy), "{text}");
}

#[tokio::test]
async fn a_directory_is_no_plugin() {
    let dir = tempfile::tempdir().unwrap();
    assert!(text("hostile", dir.path()).contains("is not a regular file"));
}

#[tokio::test]
async fn a_relative_path_is_refused() {
    assert!(text("hostile", Path::new("plugins/hostile.so")).contains("is not absolute"));
}

#[tokio::test]
async fn a_pin_admits_only_the_file_it_was_made_for() {
    let (_dir, path) = copy();
    let (info, _) = inspect(&path).unwrap();
    let PluginSource::Loaded { sha256, .. } = info.source else { panic!("it was loaded") };
    let pinned = |pin| InstanceSpec { sha256: Some(pin), ..spec("hostile", &path) };
    drop(start(vec![pinned(sha256)]));
    let text = refusal(vec![pinned([7; 32])], SearchPath::only([])).to_string();
    assert!(text.contains(&format!("but {} is configured", "07".repeat(32))), "{text}");
}

#[tokio::test]
async fn a_plugin_that_is_nowhere_is_refused_with_the_places_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let search = SearchPath::only([dir.path().to_path_buf()]);
    let text = refusal(vec![InstanceSpec::new("t", "data-api")], search).to_string();
    let place = dir.path().join("libpgferry_transport_data_api.so");
    assert!(text.contains("no plugin data_api: not linked in (none)"), "{text}");
    assert!(text.ends_with(&place.display().to_string()), "{text}");
}

#[tokio::test]
async fn with_loading_switched_off_a_path_does_not_help() {
    let text = refusal(vec![spec("hostile", &hostile())], SearchPath::disabled()).to_string();
    assert!(text.contains("loading plugins is switched off"), "{text}");
}

#[tokio::test]
async fn a_kind_that_is_no_name_is_refused() {
    let text = refusal(vec![InstanceSpec::new("t", "../evil")], SearchPath::only([])).to_string();
    assert!(text.contains("\"../evil\" cannot be a transport's kind"), "{text}");
}

#[tokio::test]
async fn a_refused_configuration_comes_with_the_plugins_words() {
    let refused =
        InstanceSpec { config: serde_json::json!({ "refuse": 1 }), ..spec("hostile", &hostile()) };
    let text = refusal(vec![refused], SearchPath::only([])).to_string();
    assert_eq!(text, "transport t: hostile 0.1 refuses to start (config): unknown key `refuse`");
}

#[tokio::test]
async fn a_plugin_is_found_in_a_plugin_directory() {
    let (dir, path) = copy();
    let search = SearchPath::only([tempfile::tempdir().unwrap().path().into(), dir.path().into()]);
    let transports = pgferry_transport::Transports::start(
        vec![InstanceSpec::new("a", "hostile"), InstanceSpec::new("b", "hostile")],
        &[],
        search,
        std::sync::Arc::new(pgferry_transport::Unobserved),
        tokio::runtime::Handle::current(),
    )
    .unwrap();
    let plugin = transports.instance("a").unwrap().plugin().clone();
    let resolved = path.canonicalize().unwrap();
    assert!(matches!(plugin.source, PluginSource::Loaded { path, .. } if path == resolved));
    assert_eq!(transports.instances().count(), 2);
    transports.shutdown().await;
}
