//! The extended protocol: statements are prepared, described and executed in messages of their own, and what is sent
//! up to a Sync is one transaction.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use pgferry_pg::SqlState;
use pgferry_sql::{Backslashes, statements};
use pgferry_transport_sdk::Error;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::act::{Act, Rows};
use crate::api::Api;
use crate::fault::{Fault, state};
use crate::order::{self, ParameterType, Wanted};
use crate::portal::Portal;
use crate::returning;
use crate::run::Runner;
use crate::session::{End, Session};
use crate::shape::Shape;
use crate::simple::not_utf8;
use crate::transaction::Scope;
use crate::wire::frontend::{Formats, Message, Parse, Subject};
use crate::wrap::Wrap;

/// What the application has prepared.
#[derive(Default)]
pub(crate) struct Prepared {
    statements: HashMap<Bytes, Arc<PreparedStatement>>,
    pub(crate) portals: HashMap<Bytes, Portal>,
}

pub(crate) struct PreparedStatement {
    pub(crate) sql: String,
    /// None: there is no statement in the text.
    pub(crate) act: Option<Act>,
    pub(crate) types: Vec<ParameterType>,
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
                if runs && !self.ends_transaction(&name) {
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

    /// What comes up to a Sync is one transaction: an error in what follows undoes this statement, too. `own` of the
    /// rest belong to it.
    fn begin_if_several(&mut self, rest: &VecDeque<Message>, end: End, own: usize) {
        let mut others = rest.iter().skip(own);
        let more = others.any(|message| !matches!(message, Message::Close(..)));
        if self.work.is_none() && (end == End::Open || more) {
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
                if !act.ends_transaction()
                    && let Some(fault) = self.work.refusal()
                {
                    return Err(fault);
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

    pub(crate) fn statement_named(&self, name: &Bytes) -> Result<Arc<PreparedStatement>, Fault> {
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
    pub(crate) async fn shape_of(
        &mut self,
        statement: &PreparedStatement,
    ) -> Result<Option<Arc<Shape>>, Fault> {
        let Some(act) = &statement.act else { return Ok(None) };
        if let Some(shape) = act.own_shape() {
            return Ok(Some(shape.into()));
        }
        let Act::Run(run) = act else { return Ok(None) };
        let Rows::Some(wrap) = run.rows else { return Ok(None) };
        if let Some(fault) = self.work.refusal() {
            return Err(fault);
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
}

fn indescribable() -> Fault {
    Fault::unsupported("the result of this statement is not known before it is run")
        .with_hint("send it by the simple protocol, or without a Describe of the statement")
}
