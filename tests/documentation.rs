//! The documentation follows the code: tables, examples, commands and links.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

mod documentation {
    pub(crate) mod example;
    pub(crate) mod page;
}
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use documentation::example::{Checked, check};
use documentation::page::{Block, pages, root};
use pgferry_config::Limits;
use support::pgferry::pgferry;

const BEGIN: &str = "<!-- generated: the table of limits -->\n";
const END: &str = "<!-- end of the generated part -->";

#[test]
fn the_table_of_limits_is_the_one_in_the_code() {
    let file = root().join("docs/configuration.md");
    let page = fs::read_to_string(&file).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("the begin mark");
    let (table, after) = rest.split_once(END).expect("the end mark");
    let wanted = format!("\n{}\n", limits());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, format!("{before}{BEGIN}{wanted}{END}{after}")).expect("written");
        return;
    }
    assert!(
        table == wanted,
        "docs/configuration.md is out of date; write it anew with\n    \
         UPDATE_GOLDEN=1 cargo test -p pgferry --test documentation"
    );
}

fn limits() -> String {
    let head = "| Key | Default | Meaning |\n|---|---|---|".to_owned();
    let row = |(key, default, meaning): &(&str, Duration, &str)| {
        format!("| `{key}` | `\"{}\"` | {meaning} |", written(*default))
    };
    let connections = Limits::default().connections;
    let last = format!("| `connections` | `{connections}` | Clients of one target at a time. |\n");
    let rows = Limits::TABLE.iter().map(row);
    std::iter::once(head).chain(rows).chain([last]).collect::<Vec<_>>().join("\n")
}

/// A duration as people write it.
fn written(duration: Duration) -> String {
    match duration.as_secs() {
        secs if secs >= 60 && secs % 60 == 0 => format!("{}m", secs / 60),
        secs => format!("{secs}s"),
    }
}

#[test]
fn every_example_configuration_passes_the_check() {
    let mut whole = 0;
    for block in pages().iter().flat_map(|page| page.blocks("toml")).chain(example_files()) {
        match check(&block.text) {
            Ok(Checked::Configuration) => whole += 1,
            Ok(Checked::Manifest) => {}
            Err(why) => panic!("{}: {why}\n{}", block.place, block.text),
        }
    }
    assert!(whole >= 10, "only {whole} examples were found");
}

fn example_files() -> Vec<Block> {
    let entries = fs::read_dir(root().join("config/examples")).expect("the examples");
    let files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    let block = |file: &std::path::PathBuf| Block {
        place: file.display().to_string(),
        text: fs::read_to_string(file).expect("an example"),
    };
    files.iter().map(block).collect()
}

/// A key that is not known, at each place where keys stand.
const PLACES: &[&str] = &[
    "xyzzy = 1",
    "[admin]\nlisten = \"127.0.0.1:1\"\nxyzzy = 1",
    "[relay]\nxyzzy = 1",
    "[limits]\nxyzzy = \"1s\"",
    "local_auth = { kind = \"scram\", password_file = \"pw\", xyzzy = 1 }",
    "local_tls = { kind = \"certificate\", cert_file = \"c\", key_file = \"k\", xyzzy = 1 }",
    "local_tls = { kind = \"local-ca\", xyzzy = 1 }",
    "credential = { kind = \"password\", user = \"app\", xyzzy = 1 }",
    "credential = { kind = \"iam\", user = \"app\", xyzzy = 1 }",
    "credential = { kind = \"secrets-manager\", xyzzy = 1 }",
    "credential = { kind = \"client-cert\", user = \"app\", xyzzy = 1 }",
    "[aws]\nxyzzy = 1",
    "[aws.assume_role]\nxyzzy = 1",
    "transport = { kind = \"tcp\", aws = { xyzzy = 1 } }",
    "database = { host = \"db.example\", xyzzy = 1 }",
    "[targets.dev]\nxyzzy = 1",
    "transport = { kind = \"ssh\", host = \"b\", user = \"u\", agent = true, xyzzy = 1 }",
    "transport = { kind = \"exec\", command = [\"nc\"], xyzzy = 1 }",
    "transport = { kind = \"ssm\", name = \"b\", xyzzy = 1 }",
    "transport = { kind = \"ssh\", secrets = { x = { xyzzy = 1 } } }",
];

/// The program names the keys it knows when it meets one that it does not.
#[test]
fn every_key_the_program_knows_is_in_the_documentation() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).expect("the page");
    for place in PLACES {
        let error = check(place).err().unwrap_or_else(|| panic!("{place} was accepted"));
        let (_, expected) = error.split_once("expected ").unwrap_or_else(|| panic!("{error}"));
        let expected = expected.split(';').next().unwrap_or_default();
        let keys: BTreeSet<&str> = expected.split('`').skip(1).step_by(2).collect();
        assert!(!keys.is_empty(), "{error}");
        for key in keys {
            let shown =
                [format!("`{key}`"), format!(".{key}`"), format!("`[{key}"), format!(" {key} =")];
            assert!(shown.iter().any(|text| page.contains(text)), "{key}: {error}");
        }
    }
}

#[test]
fn every_command_in_the_documentation_exists() {
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks("sh") {
            for line in block.text.lines() {
                let Some(rest) = line.trim().strip_prefix("pgferry ") else { continue };
                let words: Vec<&str> =
                    rest.split('#').next().unwrap_or("").split_whitespace().collect();
                let depth = if matches!(words[0], "config" | "plugin") { 2 } else { 1 };
                let help = pgferry(&[&words[..depth], &["--help"]].concat());
                assert!(help.status.success(), "{}: {line}", block.place);
                let help = String::from_utf8_lossy(&help.stdout).into_owned();
                for option in words.iter().filter(|word| word.starts_with("--")) {
                    assert!(help.contains(option), "{}: {line}", block.place);
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 3, "only {seen} commands were found");
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let help = String::from_utf8(pgferry(&["--help"]).stdout).expect("UTF-8");
    let (_, codes) = help.split_once("Exit codes:\n").expect("a table of exit codes");
    let page = fs::read_to_string(root().join("docs/configuration.md")).expect("the page");
    assert!(page.contains(codes.trim_end()), "docs/configuration.md lacks\n{codes}");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let pages = pages();
    let mut followed = 0;
    for page in &pages {
        for link in page.links() {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let to = if path.is_empty() { page.file.clone() } else { page.directory().join(path) };
            let to = to.canonicalize();
            let to = to.unwrap_or_else(|_| panic!("{}: {link} leads nowhere", page.file.display()));
            if !anchor.is_empty() {
                let target =
                    pages.iter().find(|page| page.file == to).expect("a page with anchors");
                let known = target.headings().any(|heading| heading == anchor);
                assert!(known, "{}: {link} has no such heading", page.file.display());
            }
            followed += 1;
        }
    }
    assert!(followed >= 30, "only {followed} links were found");
}
