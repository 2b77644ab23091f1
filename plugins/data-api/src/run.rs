//! Running one statement: which way its rows come, and what they are.
//!
//! The service writes values of a few types, and not all values of those. Where it is known to, or where trying does no
//! harm, it is let to; everything else comes as text that PostgreSQL printed itself ([`crate::wrap`]). What may
//! change something is never run twice to find out.

use std::sync::Arc;

use pgferry_sql::{Class, PositionMap};
use pgferry_values::record;

use crate::act::{Rows, Run};
use crate::api::{Api, Call, Field, Outcome, Parameter};
use crate::failure::{Effect, Failure};
use crate::fault::Fault;
use crate::native;
use crate::patience::Access;
use crate::shape::Shape;
use crate::shapes::{Key, Shapes};
use crate::transaction::{Scope, Transaction};
use crate::wrap::{self, Wrap, Wrapped};

/// A statement with the values of its parameters, ready for the service.
pub(crate) struct Order {
    /// As the service's scanner wants it.
    pub(crate) sql: String,
    /// From there to the application's own text.
    pub(crate) positions: PositionMap,
    pub(crate) parameters: Vec<(String, Parameter)>,
    pub(crate) key: Key,
    pub(crate) run: Run,
}

/// What a statement gave.
#[derive(Debug)]
pub(crate) enum Reply {
    /// So many rows changed.
    Done(u64),
    Table(Table),
}

/// Rows, as PostgreSQL prints them.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) shape: Arc<Shape>,
    pub(crate) rows: Vec<Row>,
}

pub(crate) type Row = Vec<Option<String>>;

/// Runs statements of one session.
pub(crate) struct Runner<'a, A> {
    pub(crate) work: &'a mut Transaction<A>,
    pub(crate) shapes: &'a mut Shapes,
    /// A comment that goes before every statement.
    pub(crate) label: &'a str,
}

impl<A: Api> Runner<'_, A> {
    /// Runs a statement once.
    ///
    /// Errors: PostgreSQL's, and those of the way to it; a transaction around it has failed then.
    ///
    /// Cancel safety: the statement may have been executed.
    pub(crate) async fn run(&mut self, order: &Order) -> Result<Reply, Fault> {
        let done = match order.run.rows {
            Rows::None => self.change(order).await.map(Reply::Done),
            Rows::Some(wrap) => self.table(order, wrap).await.map(|table| order.reply(table)),
        };
        if order.run.defines {
            self.shapes.forget();
        }
        done.map_err(|failure| failure.fault)
    }

    async fn change(&mut self, order: &Order) -> Result<u64, Failure> {
        let mut call = self.call(order, &order.sql);
        call.outlives_limit = order.run.outlives_limit();
        let outcome = self.work.call(call, order.run.access).await;
        outcome.map(|outcome| outcome.updated).map_err(|failure| self.fault(order, failure, 0))
    }

    async fn table(&mut self, order: &Order, wrap: Wrap) -> Result<Table, Failure> {
        let table = self.at_once(order, wrap).await;
        match table {
            Err(failure) if failure.effect == Effect::TooLarge && order.is_pageable() => {
                self.paged(order).await
            }
            table => table,
        }
    }

    async fn at_once(&mut self, order: &Order, wrap: Wrap) -> Result<Table, Failure> {
        let known = self.shapes.get(&order.key);
        if known.is_none() && wrap == Wrap::Query && self.may_try(order) {
            match self.try_natively(order).await? {
                Some(table) => return Ok(table),
                None => return self.printed(order, wrap, None).await,
            }
        }
        match known {
            Some(shape) if shape.is_plain() || wrap == Wrap::None => {
                self.native(order, shape).await
            }
            None if wrap == Wrap::None => self.undescribed(order).await,
            None if wrap == Wrap::Change => self.change_with_rows(order).await,
            known => self.printed(order, wrap, known).await,
        }
    }

    /// Whether it does no harm if the service runs it and cannot write its rows.
    fn may_try(&self, order: &Order) -> bool {
        order.run.access == Access::Reads && self.work.is_none() && order.is_in_utc()
    }

    /// None: the service cannot write these rows.
    async fn try_natively(&mut self, order: &Order) -> Result<Option<Table>, Failure> {
        let outcome = match self.attempt(order, &order.sql).await {
            Ok(outcome) => outcome,
            Err(Failure { effect: Effect::Unwritable, .. }) => return Ok(None),
            Err(failure) => return Err(self.fault(order, failure, 0)),
        };
        let Some(shape) = outcome.columns.as_deref().and_then(Shape::of).map(Arc::new) else {
            return Ok(None);
        };
        self.learn(order, &shape);
        Ok(rows(outcome, &shape).map(|rows| Table { shape, rows }))
    }

    /// In the service's own writing, which is known to be right.
    async fn native(&mut self, order: &Order, shape: Arc<Shape>) -> Result<Table, Failure> {
        let outcome = self.attempt(order, &order.sql).await;
        let outcome = outcome.map_err(|failure| self.fault(order, failure, 0))?;
        let Some(rows) = rows(outcome, &shape) else {
            self.shapes.forget();
            self.work.fail_here();
            return Err(changed());
        };
        Ok(Table { shape, rows })
    }

    /// As PostgreSQL prints them.
    async fn printed(
        &mut self,
        order: &Order,
        wrap: Wrap,
        known: Option<Arc<Shape>>,
    ) -> Result<Table, Failure> {
        let shape = match known {
            Some(shape) => shape,
            None => self.describe(order, wrap).await?,
        };
        if shape.is_plain() && !shape.columns.is_empty() {
            return Box::pin(self.native(order, shape)).await;
        }
        let wrapped = wrap::rows(&order.sql, wrap).ok_or_else(changed)?;
        let outcome = self.attempt(order, &wrapped.sql).await;
        let outcome = outcome.map_err(|failure| self.fault(order, failure, wrapped.before))?;
        let Some(rows) = printed_rows(&outcome, shape.columns.len()) else {
            self.shapes.forget();
            self.work.fail_here();
            return Err(changed());
        };
        Ok(Table { shape, rows })
    }

    /// Runs it where the session stands. A result that is only too large does not fail the transaction.
    async fn attempt(&mut self, order: &Order, sql: &str) -> Result<Outcome, Failure> {
        let (call, access) = (self.call(order, sql), order.run.access);
        if self.work.is_none() {
            return self.work.call(call, access).await;
        }
        let done = self.work.within(call, access).await;
        if let Err(failure) = &done
            && !(failure.effect == Effect::TooLarge && order.is_pageable())
        {
            self.work.fail(failure.effect).await;
        }
        done
    }

    /// A change whose rows nobody has seen yet: tried in a transaction, for if the service cannot write them it
    /// has to be undone before it is done in another way.
    async fn change_with_rows(&mut self, order: &Order) -> Result<Table, Failure> {
        let alone = self.work.is_none();
        if alone {
            self.work.begin(Scope::Implicit, "");
        }
        let done = self.guarded(order).await;
        if !alone {
            return done;
        }
        match done {
            Ok(table) => match self.work.commit().await {
                Ok(_) => Ok(table),
                Err(failure) => Err(self.fault(order, failure, 0)),
            },
            Err(fault) => {
                self.work.rollback().await;
                Err(fault)
            }
        }
    }

    /// Inside a transaction, between savepoints.
    async fn guarded(&mut self, order: &Order) -> Result<Table, Failure> {
        self.command("SAVEPOINT _pgferry_s", order).await?;
        if let Some(table) = self.written(order).await? {
            self.command("RELEASE SAVEPOINT _pgferry_s", order).await?;
            self.learn(order, &table.shape);
            return Ok(table);
        }
        self.command("ROLLBACK TO SAVEPOINT _pgferry_s", order).await?;
        let shape = self.describe(order, Wrap::Change).await?;
        self.command("ROLLBACK TO SAVEPOINT _pgferry_s", order).await?;
        let table = Box::pin(self.printed(order, Wrap::Change, Some(shape))).await?;
        self.command("RELEASE SAVEPOINT _pgferry_s", order).await?;
        Ok(table)
    }

    /// As the service writes it. None: it cannot, and what was done has to be undone.
    async fn written(&mut self, order: &Order) -> Result<Option<Table>, Failure> {
        if !order.is_in_utc() {
            return Ok(None);
        }
        let call = self.call(order, &order.sql);
        match self.work.within(call, order.run.access).await {
            Ok(outcome) => Ok(outcome.columns.as_deref().and_then(Shape::of).and_then(|shape| {
                let shape = Arc::new(shape);
                rows(outcome, &shape).map(|rows| Table { shape, rows })
            })),
            Err(Failure { effect: Effect::Unwritable, .. }) => Ok(None),
            Err(failure) => {
                self.work.fail(failure.effect).await;
                Err(self.fault(order, failure, 0))
            }
        }
    }

    pub(crate) async fn command(&mut self, sql: &str, order: &Order) -> Result<(), Failure> {
        let done = self.work.call(Call::new(sql), Access::Writes).await;
        done.map(drop).map_err(|failure| self.fault(order, failure, 0))
    }

    /// `EXPLAIN`, `SHOW`, `FETCH`: nothing can stand around it.
    async fn undescribed(&mut self, order: &Order) -> Result<Table, Failure> {
        let outcome = self.work.call(self.call(order, &order.sql), order.run.access).await;
        let outcome = outcome.map_err(|failure| self.fault(order, failure, 0))?;
        let shape = Arc::new(
            Shape::of(outcome.columns.as_deref().unwrap_or_default()).ok_or_else(unwritable)?,
        );
        let Some(rows) = rows(outcome, &shape) else {
            self.work.fail_here();
            return Err(unwritable());
        };
        Ok(Table { shape, rows })
    }

    pub(crate) async fn ask(
        &mut self,
        order: &Order,
        wrapped: Wrapped,
    ) -> Result<Outcome, Failure> {
        let access = order.run.access;
        let outcome = self.work.call(self.call(order, &wrapped.sql), access).await;
        outcome.map_err(|failure| self.fault(order, failure, wrapped.before))
    }

    pub(crate) fn call(&self, order: &Order, sql: &str) -> Call {
        let sql = format!("{}{sql}", self.label);
        let describes = order.run.rows != Rows::None;
        Call { sql, parameters: order.parameters.clone(), describes, ..Call::default() }
    }

    /// The failure for the application: its position is that in the application's own text.
    pub(crate) fn fault(&self, order: &Order, mut failure: Failure, before: usize) -> Failure {
        let fault = &mut failure.fault;
        fault.position = fault.position.and_then(|position| {
            let before = before + self.label.chars().count();
            let inside = position.checked_sub(before).filter(|inside| *inside > 0)?;
            Some(order.positions.to_source(inside))
        });
        failure
    }

    pub(crate) fn learn(&mut self, order: &Order, shape: &Arc<Shape>) {
        self.shapes.learn(order.key.clone(), shape);
    }
}

impl Order {
    /// The service writes times in UTC, whatever the session's zone is.
    fn is_in_utc(&self) -> bool {
        !self.key.settings.iter().any(|(name, _)| name == "timezone")
    }

    /// A procedure without results returns no row rather than one without columns.
    fn reply(&self, table: Table) -> Reply {
        if self.run.class == Class::Call && table.shape.columns.is_empty() {
            return Reply::Done(0);
        }
        Reply::Table(table)
    }

    /// Whether it can be run again, by pages.
    fn is_pageable(&self) -> bool {
        self.run.access == Access::Reads && self.run.rows == Rows::Some(Wrap::Query)
    }
}

/// None: a value is not written as its type is.
fn rows(outcome: Outcome, shape: &Shape) -> Option<Vec<Row>> {
    let row = |row: Vec<Field>| {
        if row.len() != shape.columns.len() {
            return None;
        }
        let fields = row.into_iter().zip(&shape.columns);
        fields.map(|(field, column)| native::text(field, column.type_oid).ok()).collect()
    };
    outcome.rows.into_iter().map(row).collect()
}

/// Rows that came as one text each.
pub(crate) fn printed_rows(outcome: &Outcome, columns: usize) -> Option<Vec<Row>> {
    let row = |row: &Vec<Field>| {
        let [Field::Text(text)] = row.as_slice() else { return None };
        if columns == 0 {
            return Some(Vec::new());
        }
        let fields = record::fields(text).ok().filter(|fields| fields.len() == columns)?;
        Some(fields.into_iter().map(|field| field.map(std::borrow::Cow::into_owned)).collect())
    };
    outcome.rows.iter().map(row).collect()
}

/// What the session knew of a statement does not hold any more.
pub(crate) fn changed() -> Failure {
    let fault = Fault::unsupported("the statement's result has changed since it was described");
    Failure::new(Effect::Refused, fault.with_hint("run it again"))
}

pub(crate) fn unwritable() -> Failure {
    let fault = Fault::unsupported("the Data API cannot write this result");
    Failure::new(Effect::Refused, fault.with_hint("cast the columns to text"))
}
