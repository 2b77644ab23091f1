//! Portals of the extended protocol: prepared statements with the values of their parameters, and the rows they have
//! left.

use std::sync::Arc;

use bytes::Bytes;
use pgferry_pg::SqlState;
use pgferry_sql::{Backslashes, Class, statements};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::act::{self, Act};
use crate::api::Api;
use crate::extended::PreparedStatement;
use crate::fault::{Fault, state};
use crate::order::{ParameterType, Wanted};
use crate::perform::{Done, encoded};
use crate::run::Row;
use crate::session::Session;
use crate::shape::Shape;
use crate::simple::not_utf8;
use crate::wire::frontend::{Bind, Format, Formats};

pub(crate) struct Portal {
    pub(crate) statement: Arc<PreparedStatement>,
    values: Vec<Option<String>>,
    results: Formats,
    progress: Progress,
}

/// How far a portal has come.
enum Progress {
    Bound,
    /// It was run; these rows are not fetched yet.
    Rows {
        shape: Arc<Shape>,
        rest: std::vec::IntoIter<Row>,
        class: Class,
    },
    /// It was run before it was to be executed; this is its tag.
    Tag(String),
    Done,
}

impl<A: Api, S: AsyncRead + AsyncWrite + Unpin + Send> Session<A, S> {
    pub(crate) fn bind(&mut self, bind: Bind) -> Result<(), Fault> {
        let statement = self.statement_named(&bind.statement)?;
        let ends = statement.act.as_ref().is_none_or(Act::ends_transaction);
        if !ends && let Some(fault) = self.work.refusal() {
            return Err(fault);
        }
        let wrong = |words: String| Fault::error(SqlState::PROTOCOL_VIOLATION, words);
        let (given, wanted) = (bind.values.len(), statement.types.len());
        if given != wanted {
            let name = String::from_utf8_lossy(&bind.statement);
            return Err(wrong(format!(
                "bind message supplies {given} parameters, but prepared statement \"{name}\" requires {wanted}"
            )));
        }
        if !bind.formats.fit(given) {
            return Err(wrong(format!(
                "bind message has {} parameter formats but {given} parameters",
                bind.formats.0.len()
            )));
        }
        if !bind.portal.is_empty() && self.prepared.portals.contains_key(&bind.portal) {
            let name = String::from_utf8_lossy(&bind.portal);
            let words = format!("portal \"{name}\" already exists");
            return Err(Fault::error(state::DUPLICATE_CURSOR.into(), words));
        }
        let values = bind.values.iter().zip(&statement.types).enumerate();
        let values = values.map(|(index, (value, parameter))| {
            value
                .as_ref()
                .map(|value| decoded(value, parameter, bind.formats.of(index)))
                .transpose()
        });
        let values = values.collect::<Result<_, _>>()?;
        let portal = Portal { statement, values, results: bind.results, progress: Progress::Bound };
        self.prepared.portals.insert(bind.portal, portal);
        self.answers().bind_complete();
        Ok(())
    }

    pub(crate) async fn describe_portal(&mut self, name: &Bytes) -> Result<(), Fault> {
        let portal = self.prepared.portals.get(name).ok_or_else(|| no_portal(name))?;
        let (statement, results) = (Arc::clone(&portal.statement), portal.results.clone());
        let shape = match &portal.progress {
            Progress::Rows { shape, .. } => Some(Arc::clone(shape)),
            Progress::Tag(_) | Progress::Done => None,
            Progress::Bound => self.shape_of(&statement).await?,
        };
        match shape {
            Some(shape) => {
                check(&results, &shape)?;
                self.answers().row_description(&shape.describe(&results));
            }
            None => self.answers().no_data(),
        }
        Ok(())
    }

    pub(crate) async fn execute(&mut self, name: &Bytes, row_limit: u32) -> Result<(), Fault> {
        let portal = self.prepared.portals.get(name).ok_or_else(|| no_portal(name))?;
        if portal.statement.act.is_none() {
            self.answers().empty_query_response();
            return Ok(());
        }
        if self.ends_transaction(name) {
            return self.execute_end(name).await;
        }
        self.run_portal(name).await?;
        let Self { prepared, connection, .. } = self;
        let Some(portal) = prepared.portals.get_mut(name) else { return Ok(()) };
        match &mut portal.progress {
            Progress::Rows { shape, rest, class } => {
                check(&portal.results, shape)?;
                let most = if row_limit == 0 { usize::MAX } else { row_limit as usize };
                let mut given = 0;
                while given < most
                    && let Some(row) = rest.next()
                {
                    connection.answers.data_row(&encoded(&row, shape, &portal.results)?);
                    given += 1;
                }
                if given == most {
                    connection.answers.portal_suspended();
                } else {
                    connection.answers.command_complete(&act::tag(class, given as u64));
                }
            }
            Progress::Tag(tag) => {
                connection.answers.command_complete(tag);
                portal.progress = Progress::Done;
            }
            Progress::Bound | Progress::Done => {
                let name = String::from_utf8_lossy(name);
                let words = format!("portal \"{name}\" cannot be run");
                return Err(Fault::error(state::NOT_IN_PREREQUISITE_STATE.into(), words));
            }
        }
        Ok(())
    }

    /// Whether a portal's statement is COMMIT or ROLLBACK, which close all portals, their own among them.
    pub(crate) fn ends_transaction(&self, name: &Bytes) -> bool {
        let portal = self.prepared.portals.get(name);
        portal
            .is_some_and(|portal| portal.statement.act.as_ref().is_some_and(Act::ends_transaction))
    }

    /// Runs COMMIT or ROLLBACK, whose portal does not outlive it.
    async fn execute_end(&mut self, name: &Bytes) -> Result<(), Fault> {
        let Some(portal) = self.prepared.portals.remove(name) else { return Err(no_portal(name)) };
        let all = statements(&portal.statement.sql, Backslashes::Literal);
        let (Some(one), Some(act)) = (all.first(), &portal.statement.act) else { return Ok(()) };
        if let Done::Tag(tag) = self.perform(&Wanted::bare(one), act).await? {
            self.answers().command_complete(&tag);
        }
        Ok(())
    }

    /// Runs a portal's statement if that has not been done.
    pub(crate) async fn run_portal(&mut self, name: &Bytes) -> Result<(), Fault> {
        let Some(portal) = self.prepared.portals.get_mut(name) else { return Err(no_portal(name)) };
        if !matches!(portal.progress, Progress::Bound) {
            return Ok(());
        }
        portal.progress = Progress::Done;
        let statement = Arc::clone(&portal.statement);
        let values = portal.values.clone();
        let all = statements(&statement.sql, Backslashes::Literal);
        let (Some(one), Some(act)) = (all.first(), &statement.act) else { return Ok(()) };
        let wanted = Wanted::bare(one).with(&statement.types, &values);
        let done = self.perform(&wanted, act).await?;
        let progress = match done {
            Done::Tag(tag) => Progress::Tag(tag),
            Done::Rows(table, class) => {
                Progress::Rows { shape: table.shape, rest: table.rows.into_iter(), class }
            }
        };
        if let Some(portal) = self.prepared.portals.get_mut(name) {
            portal.progress = progress;
        }
        Ok(())
    }
}

/// The text of a parameter's value.
fn decoded(value: &Bytes, parameter: &ParameterType, format: Format) -> Result<String, Fault> {
    if format == Format::Text {
        let text = str::from_utf8(value).map_err(|_| not_utf8())?;
        if text.contains('\0') {
            return Err(not_utf8());
        }
        return Ok(text.to_owned());
    }
    let none = || {
        let words =
            format!("a parameter of type {} has no binary form over the Data API", parameter.sql);
        Fault::unsupported(words).with_hint("send it as text")
    };
    let value_type = parameter.value_type.as_ref().ok_or_else(none)?;
    let mut text = String::new();
    value_type.to_text(value, &mut text).map_err(|error| {
        Fault::error(state::INVALID_BINARY.into(), format!("incorrect binary data: {error}"))
    })?;
    Ok(text)
}

fn check(results: &Formats, shape: &Shape) -> Result<(), Fault> {
    if results.fit(shape.columns.len()) {
        return Ok(());
    }
    let words = format!(
        "bind message has {} result formats but query has {} columns",
        results.0.len(),
        shape.columns.len()
    );
    Err(Fault::error(SqlState::PROTOCOL_VIOLATION, words))
}

fn no_portal(name: &Bytes) -> Fault {
    let words = format!("portal \"{}\" does not exist", String::from_utf8_lossy(name));
    Fault::error(SqlState::INVALID_CURSOR_NAME, words)
}
