//! A statement made ready for the service: its parameters cast, its text safe from the service's own scanner. Pure.

use std::sync::Arc;

use pgferry_pg::SqlState;
use pgferry_sql::{Bound, Plan, Rewritten, Statement};
use pgferry_values::{Type, builtin};

use crate::act::Run;
use crate::api::Parameter;
use crate::fault::Fault;
use crate::run::Order;
use crate::settings::Settings;
use crate::shapes::Key;

/// The type of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParameterType {
    pub(crate) oid: u32,
    /// As a cast writes it.
    pub(crate) sql: String,
    /// None: its values are texts.
    pub(crate) value_type: Option<Arc<Type>>,
}

impl ParameterType {
    /// A type every server has.
    pub(crate) fn known(oid: u32) -> Option<Self> {
        let value_type = builtin(oid)?;
        let sql = format!("pg_catalog.\"{}\"", value_type.name);
        Some(Self { oid, sql, value_type: Some(Arc::new(value_type)) })
    }
}

/// A statement of the application's.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) statement: &'a Statement<'a>,
    pub(crate) types: &'a [ParameterType],
    pub(crate) values: &'a [Option<String>],
}

impl<'a> Wanted<'a> {
    /// A statement without parameters.
    pub(crate) fn bare(statement: &'a Statement<'a>) -> Self {
        Self { statement, types: &[], values: &[] }
    }

    pub(crate) fn with(self, types: &'a [ParameterType], values: &'a [Option<String>]) -> Self {
        Self { types, values, ..self }
    }
}

/// The statement with these values for its parameters.
///
/// Errors: longer than the service takes.
pub(crate) fn of(wanted: &Wanted<'_>, run: &Run, settings: &Settings) -> Result<Order, Fault> {
    let Wanted { statement, types, values } = *wanted;
    let casts: Vec<String> = types.iter().map(|parameter| parameter.sql.clone()).collect();
    let plan = Plan { types: &casts, columns: &[], limit: LONGEST };
    let Rewritten { sql, bindings, map } = statement.rewrite(&plan).map_err(|_| too_long())?;
    let parameters = bindings.into_iter().map(|binding| {
        let value = match binding.value {
            Bound::Text(text) => Some(text),
            Bound::Parameter(number) => value_of(number, values),
        };
        (binding.name, value.map_or(Parameter::Null, Parameter::Text))
    });
    let parameters = parameters.collect();
    let key = Key {
        sql: statement.text().to_owned(),
        types: casts,
        settings: settings.carried().clone().into_iter().collect(),
    };
    Ok(Order { sql, positions: map, parameters, key, run: run.clone() })
}

fn value_of(number: u32, values: &[Option<String>]) -> Option<String> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    values.get(index)?.clone()
}

fn too_long() -> Fault {
    Fault::error(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "the statement is longer than the 65,536 characters the Data API takes",
    )
    .with_hint("send its values as parameters, or in several statements")
}

/// Less what may be put around it. Source: API reference of the RDS Data Service, `ExecuteStatement`, `sql`.
const LONGEST: usize = 65_536 - 4096;
