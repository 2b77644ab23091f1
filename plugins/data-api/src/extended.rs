//! The extended protocol: statements are prepared, described and executed in messages of their own, and what is sent
//! up to a Sync is one transaction.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use pgferry_pg::SqlState;
use pgferry_sql::{Backslashes, Class, statements};
use pgferry_transport_sdk::Error;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::act::{self, Act, Rows};
use crate::api::Api;
use crate::fault::{Fault, state};
use crate::order::{self, ParameterType, Wanted};
use crate::perform::{Done, aborted, encoded};
use crate::returning;
use crate::run::{Row, Runner};
use crate::session::{End, Session};
use crate::shape::Shape;
use crate::simple::not_utf8;
use crate::wire::frontend::{Bind, Format, Formats, Message, Parse, Subject};
use crate::work::Scope;
use crate::wrap::Wrap;

/// What the application has prepared.
#[derive(Default)]
pub(crate) struct Prepared {
    statements: HashMap<Bytes, Arc<PreparedStatement>>,
    portals: HashMap<Bytes, Portal>,
}

struct PreparedStatement {
    sql: String,
    /// None: there is no statement in the text.
    act: Option<Act>,
    types: Vec<ParameterType>,
}

struct Portal {
    statement: Arc<PreparedStatement>,
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

impl Prepared {
    /// A simple query takes the place of the unnamed statement.
    pub(crate) fn forget_unnamed(&mut self) {
        self.statements.remove(&Bytes::new());
        self.portals.remove(&Bytes::new());
    }

    /// Portals do not outlive their transaction.
    pub(crate) fn end_transaction(&mut self) {
        self.portals.clear();
    }

    pub(crate) fn forget_statements(&mut self) {
        self.statements.clear();
    }

    /// False: there is none of that name.
    pub(crate) fn forget_statement(&mut self, name: &str) -> bool {
        self.statements.remove(name.as_bytes()).is_some()
    }
}

impl<A: Api, S: AsyncRead + AsyncWrite + Unpin + Send> Session<A, S> {
    /// Answers the messages of a batch. After an error the rest of it is skipped, to its Sync.
    ///
    /// Errors: the application's connection broke.
    pub(crate) async fn batch(
        &mut self,
        batch: &mut VecDeque<Message>,
        end: End,
    ) -> Result<(), Error> {
        while let Some(message) = batch.pop_front() {
            if self.skipping {
                batch.clear();
                break;
            }
            if let Err(fault) = self.extended(message, batch, end).await {
                self.answers().error(&fault);
                self.end_failed().await;
                self.skipping = true;
            }
            self.connection.flush_if_large().await?;
        }
        match end {
            End::Sync => {
                self.skipping = false;
                self.sync().await?;
                if self.work.is_none() {
                    self.prepared.end_transaction();
                }
                Ok(())
            }
            End::Open => self.connection.flush().await,
        }
    }

    async fn extended(
        &mut self,
        message: Message,
        rest: &VecDeque<Message>,
        end: End,
    ) -> Result<(), Fault> {
        match message {
            Message::Parse(parse) => self.parse(&parse).await,
            Message::Bind(bind) => self.bind(bind),
            Message::Describe(Subject::Statement, name) => self.describe_statement(&name).await,
            Message::Describe(Subject::Portal, name) => {
                let next = rest.front();
                let runs = matches!(next, Some(Message::Execute { portal, .. }) if *portal == name);
                if runs {
                    self.begin_if_several(rest, end, 1);
                    self.run_portal(&name).await?;
                }
                self.describe_portal(&name).await
            }
            Message::Execute { portal, row_limit } => {
                self.begin_if_several(rest, end, 0);
                self.execute(&portal, row_limit).await
            }
            Message::Close(subject, name) => {
                match subject {
                    Subject::Statement => drop(self.prepared.statements.remove(&name)),
                    Subject::Portal => drop(self.prepared.portals.remove(&name)),
                }
                self.answers().close_complete();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Several statements up to a Sync are one transaction. `own` of the rest belong to this statement.
    fn begin_if_several(&mut self, rest: &VecDeque<Message>, end: End, own: usize) {
        let executes = rest.iter().filter(|message| matches!(message, Message::Execute { .. }));
        if self.work.is_none() && (end == End::Open || executes.count() > own) {
            self.work.begin(Scope::Implicit, "");
        }
    }

    async fn parse(&mut self, parse: &Parse) -> Result<(), Fault> {
        if !parse.name.is_empty() && self.prepared.statements.contains_key(&parse.name) {
            let name = String::from_utf8_lossy(&parse.name);
            let words = format!("prepared statement \"{name}\" already exists");
            return Err(Fault::error(state::DUPLICATE_STATEMENT.into(), words));
        }
        let sql = str::from_utf8(&parse.sql).map_err(|_| not_utf8())?;
        let all = statements(sql, Backslashes::Literal);
        let (act, types) = match all.as_slice() {
            [] => (None, Vec::new()),
            [one] => {
                let act = Act::of(one);
                if self.work.is_failed() && !act.ends_transaction() {
                    return Err(aborted());
                }
                let types = self.parameter_types(one, &parse.types).await?;
                (Some(act), types)
            }
            _ => {
                let words = "cannot insert multiple commands into a prepared statement";
                return Err(Fault::error(state::SYNTAX_ERROR.into(), words));
            }
        };
        let statement = PreparedStatement { sql: sql.to_owned(), act, types };
        self.prepared.statements.insert(parse.name.clone(), Arc::new(statement));
        self.answers().parse_complete();
        Ok(())
    }

    fn bind(&mut self, bind: Bind) -> Result<(), Fault> {
        let statement = self.statement_named(&bind.statement)?;
        let ends = statement.act.as_ref().is_none_or(Act::ends_transaction);
        if self.work.is_failed() && !ends {
            return Err(aborted());
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

    fn statement_named(&self, name: &Bytes) -> Result<Arc<PreparedStatement>, Fault> {
        self.prepared.statements.get(name).cloned().ok_or_else(|| {
            let words = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                let name = String::from_utf8_lossy(name);
                format!("prepared statement \"{name}\" does not exist")
            };
            Fault::error(SqlState::INVALID_STATEMENT_NAME, words)
        })
    }

    async fn describe_statement(&mut self, name: &Bytes) -> Result<(), Fault> {
        let statement = self.statement_named(name)?;
        let shape = self.shape_of(&statement).await?;
        let oids: Vec<u32> = statement.types.iter().map(|parameter| parameter.oid).collect();
        self.answers().parameter_description(&oids);
        match shape {
            Some(shape) => self.answers().row_description(&shape.describe(&Formats::default())),
            None => self.answers().no_data(),
        }
        Ok(())
    }

    /// What rows a statement would return; it is not run for that.
    async fn shape_of(
        &mut self,
        statement: &PreparedStatement,
    ) -> Result<Option<Arc<Shape>>, Fault> {
        let Some(act) = &statement.act else { return Ok(None) };
        if let Some(shape) = act.own_shape() {
            return Ok(Some(shape.into()));
        }
        let Act::Run(run) = act else { return Ok(None) };
        let Rows::Some(wrap) = run.rows else { return Ok(None) };
        if self.work.is_failed() {
            return Err(aborted());
        }
        let all = statements(&statement.sql, Backslashes::Literal);
        let Some(one) = all.first() else { return Ok(None) };
        let nothing = vec![None; statement.types.len()];
        let wanted = Wanted::bare(one).with(&statement.types, &nothing);
        let mut order = order::of(&wanted, run, &self.settings)?;
        let wrap = match wrap {
            Wrap::Query => Wrap::Query,
            Wrap::Change => {
                let rewritten = statements(&order.sql, Backslashes::Literal);
                let query = rewritten.first().and_then(|one| returning::query(one.text(), one));
                order.sql = query.ok_or_else(indescribable)?;
                Wrap::Query
            }
            Wrap::None => return Err(indescribable()),
        };
        let Self { work, shapes, label, .. } = self;
        let described = Runner { work, shapes, label }.describe(&order, wrap).await;
        described.map(Some).map_err(|failure| failure.fault)
    }

    async fn describe_portal(&mut self, name: &Bytes) -> Result<(), Fault> {
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

    async fn execute(&mut self, name: &Bytes, row_limit: u32) -> Result<(), Fault> {
        let portal = self.prepared.portals.get(name).ok_or_else(|| no_portal(name))?;
        if portal.statement.act.is_none() {
            self.answers().empty_query_response();
            return Ok(());
        }
        self.run_portal(name).await?;
        let Self { prepared, connection, .. } = self;
        // COMMIT and ROLLBACK close all portals, their own among them.
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

    /// Runs a portal's statement if that has not been done.
    async fn run_portal(&mut self, name: &Bytes) -> Result<(), Fault> {
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
            Done::Tag(tag) if act.ends_transaction() => {
                self.answers().command_complete(&tag);
                return Ok(());
            }
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

fn indescribable() -> Fault {
    Fault::unsupported("the result of this statement is not known before it is run")
        .with_hint("send it by the simple protocol, or without a Describe of the statement")
}
