//! Rows of `pgferry config check`: a setting, its value and where it comes from.

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _};
use pgferry_config::shown;
use serde_json::{Value, json};

use crate::args::Arguments;

/// One setting in force.
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) note: Option<String>,
    /// For people.
    pub(crate) origin: String,
    /// For programs.
    pub(crate) origin_json: Value,
}

impl Row {
    pub(crate) fn json(&self) -> Value {
        json!({
            "key": self.key, "value": self.value, "note": self.note, "origin": self.origin_json,
        })
    }

    /// The rows as lines with aligned columns.
    pub(crate) fn columns(rows: &[Self]) -> Vec<String> {
        let cells: Vec<[String; 3]> = rows
            .iter()
            .map(|row| [shown(&row.key), row.value_text(), shown(&row.origin)])
            .collect();
        let width = |column: usize| {
            let cells = cells.iter().filter_map(|cells| cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let (key, value, origin) = (width(0), width(1), width(2));
        rows.iter()
            .zip(&cells)
            .map(|(row, [k, v, o])| {
                let note = row.note.as_deref().map(shown).unwrap_or_default();
                format!("{k:key$}  {v:value$}  {o:origin$}  {note}").trim_end().to_owned()
            })
            .collect()
    }

    fn value_text(&self) -> String {
        match &self.value {
            Value::Null => "none".to_owned(),
            Value::String(text) => shown(text),
            other => shown(&other.to_string()),
        }
    }
}

/// The flags of the command that was given, but those of one call alone.
pub(crate) fn flags(matches: &ArgMatches) -> Vec<Row> {
    let (mut command, mut matches) = (Arguments::command(), matches);
    while let Some((name, below)) = matches.subcommand() {
        let Some(next) = command.find_subcommand(name).cloned() else { break };
        (command, matches) = (next, below);
    }
    let with_variable = command.get_arguments().filter_map(|a| Some((a, a.get_env()?.to_str()?)));
    with_variable
        .map(|(argument, variable)| {
            let id = argument.get_id().as_str();
            let flag = format!("--{}", argument.get_long().unwrap_or(id));
            let raw = matches.get_raw(id).into_iter().flatten();
            let values: Vec<Value> = raw.map(|value| value.to_string_lossy().into()).collect();
            let value = match <[Value; 1]>::try_from(values) {
                Ok([one]) => one,
                Err(none) if none.is_empty() => Value::Null,
                Err(several) => several.into(),
            };
            let (origin, origin_json) = match matches.value_source(id) {
                Some(ValueSource::CommandLine) => {
                    (flag.clone(), json!({ "kind": "flag", "name": flag }))
                }
                Some(ValueSource::EnvVariable) => {
                    let json = json!({ "kind": "environment", "name": variable });
                    (variable.to_owned(), json)
                }
                _ => ("default".to_owned(), json!({ "kind": "default" })),
            };
            Row { key: flag, value, note: None, origin, origin_json }
        })
        .collect()
}
