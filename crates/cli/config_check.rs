//! `pgferry config check`: everything `run` would refuse, without listening anywhere, and every
//! setting with where it comes from.

use clap::ArgMatches;
use pgferry_config::{Document, Origin, Plan, Setting, Transport, shown};
use serde_json::{Value, json};

use crate::args::ConfigCheck;
use crate::assembly::{self, Parts};
use crate::config_credential;
use crate::config_origin::{Row, flags};
use crate::exit::{Exit, Failure};
use crate::output;

pub(crate) fn check(check: &ConfigCheck, matches: &ArgMatches) -> Result<Exit, Failure> {
    let failure = |error| Failure::new(Exit::Config, error);
    let document = pgferry_config::search(check.config.file.as_deref())
        .and_then(|found| Document::read(&found))
        .map_err(failure)?;
    let shown = Shown::new(&document, matches);
    if !document.trust().suffices() {
        // What can be said without using what the file asks for.
        let besides = document.check().err().map(|error| error.to_string());
        shown.print(check.json, None, besides.as_deref());
        return Err(failure(document.untrusted()));
    }
    let plan = document.plan().and_then(|plan| plan.select(&[])).map_err(failure)?;
    let targets = Targets::new(&plan);
    // Plugins are created and roots loaded just as a run would; no network is touched.
    let Parts { transports, runtime, targets: made, .. } =
        assembly::assemble(plan, &check.plugins, None)?;
    for (target, _) in &made {
        for warning in target.warnings() {
            output::warn(format_args!("target \"{}\": {warning}", target.name()));
        }
    }
    runtime.block_on(transports.shutdown());
    shown.print(check.json, Some(&targets), None);
    Ok(Exit::Ok)
}

/// What there is to say about a file before it is run.
struct Shown {
    json: Value,
    file: String,
    rows: Vec<Row>,
    places: Vec<String>,
}

impl Shown {
    fn new(document: &Document, matches: &ArgMatches) -> Self {
        let found = document.found();
        let settings = document.settings();
        let own = settings.iter().map(|setting| row(setting, document));
        let rows: Vec<Row> = flags(matches).into_iter().chain(own).collect();
        let mut places =
            vec![format!("{} (chosen: {})", found.file().display(), found.place().as_str())];
        let mut looked_at = vec![json!({
            "file": found.file(), "place": found.place().as_str(), "outcome": "chosen",
        })];
        for other in found.passed_over() {
            let outcome = if other.exists { "passed over" } else { "not there" };
            places.push(format!("{} ({outcome})", other.file.display()));
            looked_at.push(json!({
                "file": other.file, "place": other.place.as_str(), "outcome": outcome,
            }));
        }
        let powers: Vec<_> = document
            .powers()
            .iter()
            .map(|power| json!({ "line": power.line, "key": power.key, "what": power.what }))
            .collect();
        let json = json!({
            "file": document.file(), "place": found.place().as_str(), "looked_at": looked_at,
            "trust": document.trust().as_str(), "powers": powers,
            "settings": rows.iter().map(Row::json).collect::<Vec<_>>(),
        });
        Self { json, file: document.file().display().to_string(), rows, places }
    }

    fn print(mut self, json: bool, targets: Option<&Targets>, besides: Option<&str>) {
        if json {
            let more = json!({
                "whole": targets.is_some(), "besides": besides,
                "targets": targets.map_or(&json!([]), |targets| &targets.json),
            });
            if let (Some(all), Value::Object(more)) = (self.json.as_object_mut(), more) {
                all.extend(more);
            }
            return output::json(&self.json);
        }
        Row::columns(&self.rows).iter().for_each(output::line);
        output::line("");
        output::line("Looked at:");
        self.places.iter().for_each(|place| output::line(format_args!("  {}", shown(place))));
        output::line("");
        if let Some(targets) = targets {
            output::line(format_args!("{}: the configuration is whole", shown(&self.file)));
            targets.lines.iter().for_each(output::line);
        }
        if let Some(besides) = besides {
            output::line(format_args!("besides: {}", shown(besides)));
        }
    }
}

fn row(setting: &Setting, document: &Document) -> Row {
    let file = document.file();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let (origin, json) = match setting.origin {
        Origin::Line(line) => {
            (format!("{name}:{line}"), json!({ "kind": "file", "file": file, "line": line }))
        }
        Origin::Default => ("default".to_owned(), json!({ "kind": "default" })),
    };
    Row {
        key: setting.key.clone(),
        value: setting.value.clone(),
        note: setting.note.clone(),
        origin,
        origin_json: json,
    }
}

/// The way of each target in a line.
struct Targets {
    json: Value,
    lines: Vec<String>,
}

impl Targets {
    fn new(plan: &Plan) -> Self {
        let mut lines = Vec::new();
        let mut targets = Vec::new();
        for target in &plan.targets {
            let layers = layers(plan, &target.transport);
            let kind = layers.first().map_or("", |t| t.kind.as_str());
            let path: Vec<_> = layers.iter().map(|t| format!("{} ({})", t.name, t.kind)).collect();
            let beneath: Vec<_> = layers.iter().skip(1).map(|t| &t.name).collect();
            let host = target.database.location.to_string();
            let port = target.database.endpoint().map_or(target.database.port, |e| Some(e.port));
            let after = port.map_or_else(String::new, |port| format!(":{port}"));
            let credential = config_credential::Shown::of(target);
            let listen: Vec<_> = target.listen.iter().map(ToString::to_string).collect();
            let line = format!(
                "  {}: {} -> {} -> {host}{after}",
                target.name,
                listen.join(", "),
                path.join(" via "),
            );
            lines.extend([shown(&line), shown(&format!("    {}", credential.line()))]);
            targets.push(json!({
                "name": target.name, "listen": listen, "transport": target.transport, "kind": kind,
                "via": beneath,
                "host": host, "port": port, "credential": credential.json(),
            }));
        }
        Self { json: targets.into(), lines }
    }
}

/// A transport and those beneath it, from the top. Bounded, for a circle is found only later.
fn layers<'plan>(plan: &'plan Plan, top: &str) -> Vec<&'plan Transport> {
    let named = |name: &str| plan.transports.iter().find(|t| t.name == name);
    let below = |transport: &&'plan Transport| named(transport.via.as_deref()?);
    std::iter::successors(named(top), below).take(plan.transports.len()).collect()
}
