//! `pgferry plugin list`: names and places, nothing loaded.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::Path;

use pgferry_transport::SearchPath;
use serde_json::json;

use crate::args::PluginList;
use crate::exit::Exit;
use crate::{output, plugins};

#[derive(Clone)]
struct Found {
    name: String,
    place: String,
}

pub(crate) fn list(list: &PluginList) -> Exit {
    let built_in = |name: &str| Found { name: name.to_owned(), place: "built in".to_owned() };
    let mut found = ["direct", "exec"].map(built_in).to_vec();
    found.extend(
        plugins::linked()
            .iter()
            .map(|(name, _)| Found { name: (*name).to_owned(), place: "linked in".to_owned() }),
    );
    let search = plugins::search_path(&list.plugins);
    found.extend(in_directories(&search));
    if list.json {
        let plugins: Vec<_> =
            found.iter().map(|f| json!({ "name": f.name, "place": f.place })).collect();
        output::json(&json!({ "plugins": plugins, "searched": search.dirs }));
        return Exit::Ok;
    }
    for plugin in &found {
        output::line(format_args!("{:<16} {}", plugin.name, plugin.place));
    }
    for directory in &search.dirs {
        let missing = if directory.is_dir() { "" } else { " (not there)" };
        output::line(format_args!("looked in {}{missing}", directory.display()));
    }
    Exit::Ok
}

/// The plugin in a library's file name.
fn plugin_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_prefix(DLL_PREFIX)?.strip_suffix(DLL_SUFFIX)?;
    name.strip_prefix("pgferry_transport_")
}

fn in_directories(search: &SearchPath) -> Vec<Found> {
    let entries = search.dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let mut found: Vec<Found> = entries
        .filter_map(|entry| {
            let path = entry.path();
            let name = plugin_name(&path)?.to_owned();
            Some(Found { name, place: path.display().to_string() })
        })
        .collect();
    found.sort_by(|a, b| (&a.name, &a.place).cmp(&(&b.name, &b.place)));
    found
}
