//! What becomes of one statement, whichever protocol it came by.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pgferry_pg::SqlState;
use pgferry_sql::{Class, Statement};
use pgferry_transport_sdk::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use crate::act::{self, Act, Run, Set};
use crate::api::{Api, Call, Field, Parameter};
use crate::fault::{Fault, state};
use crate::order::{self, Wanted};
use crate::patience::Access;
use crate::run::{Order, Reply, Runner, Table};
use crate::session::Session;
use crate::settings::{Kind, reported};
use crate::shape::{ColumnShape, Shape};
use crate::transaction::{Ended, Scope};
use crate::wire::frontend::{Format, Formats};

/// What a statement gave.
pub(crate) enum Done {
    Tag(String),
    Rows(Table, Class),
}

impl<A: Api, S: AsyncRead + AsyncWrite + Unpin + Send> Session<A, S> {
    /// Carries a statement out.
    ///
    /// Errors: what the application is told; a transaction around it has failed.
    pub(crate) async fn perform(&mut self, wanted: &Wanted<'_>, act: &Act) -> Result<Done, Fault> {
        let ends = matches!(act, Act::Commit { .. } | Act::Rollback { .. } | Act::RollbackTo);
        if !ends && let Some(fault) = self.work.refusal() {
            return Err(fault);
        }
        let tag = |tag: &str| Ok(Done::Tag(tag.to_owned()));
        let done = match act {
            Act::Begin { tag: name, modes } => {
                if !self.work.begin(Scope::Explicit, modes) {
                    self.answers().warning(&Fault::error(
                        state::ACTIVE_TRANSACTION.into(),
                        "there is already a transaction in progress",
                    ));
                }
                tag(name)
            }
            Act::Commit { chain } => self.end(*chain, true).await,
            Act::Rollback { chain } => self.end(*chain, false).await,
            Act::RollbackTo => self.back(wanted.statement).await,
            Act::Savepoint { tag: name } => self.savepoint(wanted.statement, name).await,
            Act::Set(set) => self.set(set).await,
            Act::Reset(name) => self.reset(name.as_deref()).await,
            Act::Show(name) => self.show(wanted, name).await,
            Act::Modes(modes) => self.modes(modes).await,
            Act::Defaults(defaults) => self.defaults(defaults).await,
            Act::Deallocate(name) => self.deallocate(name.as_deref()),
            Act::Unlisten => tag("UNLISTEN"),
            Act::DiscardAll => self.discard_all(),
            Act::Refused(fault) => Err((**fault).clone()),
            Act::Run(run) => self.run(wanted, run).await,
        };
        if done.is_err() {
            self.work.fail_here();
        }
        done
    }

    async fn run(&mut self, wanted: &Wanted<'_>, run: &Run) -> Result<Done, Fault> {
        let order = order::of(wanted, run, &self.settings)?;
        if run.needs_transaction() && self.work.is_none() {
            self.work.begin(Scope::Implicit, "");
        }
        match self.order(&order).await? {
            Reply::Done(rows) => Ok(Done::Tag(act::tag(&run.class, rows))),
            Reply::Table(table) => Ok(Done::Rows(table, run.class.clone())),
        }
    }

    /// Runs it, unless somebody asks to stop: then the database is asked to cancel it.
    async fn order(&mut self, order: &Order) -> Result<Reply, Fault> {
        let Self { work, shapes, interruption, label, .. } = self;
        let canceller = work.canceller();
        let mut runner = Runner { work, shapes, label };
        let mut running = Box::pin(runner.run(order));
        let mut again = None;
        loop {
            let due = again.unwrap_or_else(Instant::now);
            tokio::select! {
                done = &mut running => return done,
                () = interruption.asked() => {}
                () = sleep_until(due), if again.is_some() => {}
            }
            // A statement may take several calls, and this one come between two of them.
            canceller.cancel(label).await;
            again = Some(Instant::now() + CANCEL_AGAIN);
        }
    }

    /// Commits or rolls back.
    async fn end(&mut self, chain: bool, commit: bool) -> Result<Done, Fault> {
        let modes = self.work.modes();
        let was_implicit = self.work.is_implicit();
        let ended = if commit {
            self.commit().await?
        } else {
            self.settings.undo();
            self.carry();
            self.work.rollback().await
        };
        if ended == Ended::None || was_implicit {
            self.answers().warning(&Fault::error(
                state::NO_ACTIVE_TRANSACTION.into(),
                "there is no transaction in progress",
            ));
        }
        self.shapes.end();
        self.prepared.end_transaction();
        if chain && ended != Ended::None {
            self.work.begin(Scope::Explicit, &modes);
        }
        let tag = if commit && ended != Ended::RolledBack { "COMMIT" } else { "ROLLBACK" };
        Ok(Done::Tag(tag.to_owned()))
    }

    /// Commits, or rolls back what failed.
    pub(crate) async fn commit(&mut self) -> Result<Ended, Fault> {
        let ended = self.work.commit().await;
        match ended {
            Ok(Ended::RolledBack) | Err(_) => self.settings.undo(),
            Ok(_) => self.settings.end(),
        }
        self.carry();
        ended.map_err(|failure| failure.fault)
    }

    /// A statement of several failed: what PostgreSQL runs as one is undone.
    pub(crate) async fn end_failed(&mut self) {
        self.work.fail_here();
        if self.work.is_implicit() {
            self.settings.undo();
            self.carry();
            self.work.rollback().await;
        }
    }

    async fn back(&mut self, statement: &Statement<'_>) -> Result<Done, Fault> {
        if self.work.is_none() || self.work.is_implicit() {
            return Err(no_transaction("ROLLBACK TO SAVEPOINT"));
        }
        let back = self.work.rollback_to(statement.text().to_owned()).await;
        back.map_err(|failure| failure.fault)?;
        Ok(Done::Tag("ROLLBACK".to_owned()))
    }

    async fn savepoint(&mut self, statement: &Statement<'_>, tag: &str) -> Result<Done, Fault> {
        if self.work.is_none() {
            return Err(no_transaction(tag));
        }
        let done = self.work.call(Call::new(statement.text()), Access::Writes).await;
        done.map_err(|failure| failure.fault)?;
        Ok(Done::Tag(tag.to_owned()))
    }

    async fn modes(&mut self, modes: &str) -> Result<Done, Fault> {
        if self.work.is_none() {
            self.answers().warning(&no_transaction("SET TRANSACTION"));
        } else if !self.work.add_modes(modes) {
            let call = Call::new(format!("SET TRANSACTION {modes}"));
            self.work.call(call, Access::Writes).await.map_err(|failure| failure.fault)?;
        }
        Ok(Done::Tag("SET".to_owned()))
    }

    async fn defaults(&mut self, defaults: &[(&str, String)]) -> Result<Done, Fault> {
        for (name, value) in defaults {
            self.assign(name, value, false).await?;
        }
        Ok(Done::Tag("SET".to_owned()))
    }

    async fn set(&mut self, set: &Set) -> Result<Done, Fault> {
        let Some(value) = &set.value else {
            self.reset(Some(&set.name)).await?;
            return Ok(Done::Tag("SET".to_owned()));
        };
        self.assign(&set.name, value, set.local).await?;
        Ok(Done::Tag("SET".to_owned()))
    }

    /// Takes over a setting. The database is asked whether it likes the value, unless it does not matter.
    pub(crate) async fn assign(
        &mut self,
        name: &str,
        value: &str,
        local: bool,
    ) -> Result<(), Fault> {
        let kind = Kind::of(name, value);
        let inside = !self.work.is_none();
        let mut value = value.to_owned();
        match kind {
            Kind::Fixed(only) => return Err(fixed(name, only)),
            Kind::Harmless => {}
            Kind::Carried => {
                let call = Call {
                    sql: "SELECT pg_catalog.set_config(:n, :v, true)".to_owned(),
                    parameters: vec![
                        ("n".to_owned(), Parameter::Text(name.to_owned())),
                        ("v".to_owned(), Parameter::Text(value.clone())),
                    ],
                    ..Call::default()
                };
                let set = self.work.call(call, Access::Reads).await;
                let set = set.map_err(|failure| failure.fault)?;
                if let Some(Field::Text(taken)) = set.rows.first().and_then(|row| row.first()) {
                    value.clone_from(taken);
                }
            }
        }
        if !local {
            self.settings.set(name, &value, kind, inside);
            self.carry();
        }
        if let Some(reported) = reported(name) {
            self.answers().parameter_status(reported, &value);
        }
        Ok(())
    }

    /// Takes over what the application asks for as it connects.
    ///
    /// Errors: a setting that the database does not take, or this transport cannot have.
    pub(crate) async fn adopt(&mut self, wanted: Vec<(String, String)>) -> Result<(), Fault> {
        for (name, value) in wanted {
            self.assign(&name, &value, false).await?;
        }
        Ok(())
    }

    async fn reset(&mut self, name: Option<&str>) -> Result<Done, Fault> {
        let inside = !self.work.is_none();
        if self.work.has_begun() {
            let names: Vec<String> = match name {
                Some(name) => vec![name.to_owned()],
                None => self.settings.carried().keys().cloned().collect(),
            };
            for name in names {
                let sql = format!("SET LOCAL {} TO DEFAULT", quoted_name(&name));
                let reset = self.work.call(Call::new(sql), Access::Writes).await;
                reset.map_err(|failure| failure.fault)?;
            }
        }
        self.settings.reset(name, inside);
        self.carry();
        let told = name.and_then(reported);
        if let Some((name, value)) = told.and_then(|name| self.facts.parameters.get_key_value(name))
        {
            let (name, value) = (*name, value.clone());
            self.answers().parameter_status(name, &value);
        }
        Ok(Done::Tag("RESET".to_owned()))
    }

    async fn show(&mut self, wanted: &Wanted<'_>, name: &str) -> Result<Done, Fault> {
        let Some(value) = self.settings.get(name).map(str::to_owned) else {
            return self.run(wanted, &Run::show()).await;
        };
        let shape = Shape { columns: vec![ColumnShape::text(name)] };
        let rows = vec![vec![Some(value)]];
        Ok(Done::Rows(Table { shape: shape.into(), rows }, Run::show().class))
    }

    fn deallocate(&mut self, name: Option<&str>) -> Result<Done, Fault> {
        let Some(name) = name else {
            self.prepared.forget_statements();
            return Ok(Done::Tag("DEALLOCATE ALL".to_owned()));
        };
        if self.prepared.forget_statement(name) {
            return Ok(Done::Tag("DEALLOCATE".to_owned()));
        }
        let words = format!("prepared statement \"{name}\" does not exist");
        Err(Fault::error(SqlState::INVALID_STATEMENT_NAME, words))
    }

    fn discard_all(&mut self) -> Result<Done, Fault> {
        if !self.work.is_none() {
            let words = "DISCARD ALL cannot run inside a transaction block";
            return Err(Fault::error(state::ACTIVE_TRANSACTION.into(), words));
        }
        self.settings.reset(None, false);
        self.carry();
        self.prepared.forget_statements();
        Ok(Done::Tag("DISCARD ALL".to_owned()))
    }

    fn carry(&mut self) {
        self.work.carry(self.settings.carried());
    }

    /// Ends what an implicit transaction did, at a Sync.
    ///
    /// Errors: the application's connection broke.
    pub(crate) async fn sync(&mut self) -> Result<(), Error> {
        if self.work.is_implicit()
            && let Err(fault) = self.commit().await
        {
            self.answers().error(&fault);
        }
        self.ready().await
    }
}

const CANCEL_AGAIN: Duration = Duration::from_secs(1);

/// A row for the application, in the formats it wants.
///
/// Errors: there is no binary form.
pub(crate) fn encoded(
    row: &[Option<String>],
    shape: &Shape,
    formats: &Formats,
) -> Result<Vec<Option<Bytes>>, Fault> {
    let mut values = Vec::with_capacity(row.len());
    for (index, (value, column)) in row.iter().zip(&shape.columns).enumerate() {
        values.push(match (value, formats.of(index)) {
            (None, _) => None,
            (Some(text), Format::Text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            (Some(text), Format::Binary) => Some(binary(text, column)?),
        });
    }
    Ok(values)
}

fn binary(text: &str, column: &ColumnShape) -> Result<Bytes, Fault> {
    let none = || {
        let words = format!("column \"{}\" has no binary form over the Data API", column.name);
        Fault::unsupported(words).with_hint("ask for text, or cast the column to text")
    };
    let value_type = column.value_type.as_ref().ok_or_else(none)?;
    let mut out = BytesMut::new();
    value_type.to_binary(text, &mut out).map_err(|error| none().with_detail(error.to_string()))?;
    Ok(out.freeze())
}

fn no_transaction(command: &str) -> Fault {
    Fault::error(
        state::NO_ACTIVE_TRANSACTION.into(),
        format!("{command} can only be used in transaction blocks"),
    )
}

fn fixed(name: &str, only: &str) -> Fault {
    Fault::unsupported(format!("over the Data API {name} is always {only}"))
        .with_hint(format!("leave {name} as it is"))
}

/// Names of settings may have a dot.
fn quoted_name(name: &str) -> String {
    let parts = name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\"")));
    parts.collect::<Vec<_>>().join(".")
}
