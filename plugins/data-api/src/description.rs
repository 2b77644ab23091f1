//! What a statement's rows look like, found out without making any of them.

use std::sync::Arc;

use crate::api::{Api, Field, Outcome};
use crate::failure::Failure;
use crate::run::{Order, Runner, changed, unwritable};
use crate::shape::{ColumnShape, Shape, catalogued};
use crate::wrap::{self, Wrap};

impl<A: Api> Runner<'_, A> {
    /// What its rows look like. For a query no row is made; a change is made, and has to be undone to the savepoint.
    ///
    /// Errors: PostgreSQL's, if the statement is wrong.
    pub(crate) async fn describe(
        &mut self,
        order: &Order,
        wrap: Wrap,
    ) -> Result<Arc<Shape>, Failure> {
        if let Some(shape) = self.shapes.get(&order.key) {
            return Ok(shape);
        }
        let shape = match self.described_outside(order, wrap).await {
            Some(shape) => shape,
            None => self.described_here(order, wrap).await?,
        };
        let shape = Arc::new(shape);
        self.learn(order, &shape);
        Ok(shape)
    }

    /// By a call of its own, where nothing that fails does any harm. None: it has to be asked where the session
    /// stands, which knows what is not committed yet.
    async fn described_outside(&mut self, order: &Order, wrap: Wrap) -> Option<Shape> {
        if wrap != Wrap::Query || !self.shapes.are_shared() {
            return None;
        }
        let wrapped = wrap::columns(&order.sql);
        let mut call = self.call(order, &wrapped.sql);
        call.describes = true;
        let columns = self.work.outside(call).await?.columns?;
        if let Some(shape) = Shape::of(&columns) {
            return Some(shape);
        }
        let wrapped = wrap::types(&order.sql, wrap, columns.len())?;
        let outcome = self.work.outside(self.call(order, &wrapped.sql)).await?;
        described(&outcome, columns.into_iter().map(|column| column.name))
    }

    /// The service has to write nothing but names and numbers for it.
    async fn described_here(&mut self, order: &Order, wrap: Wrap) -> Result<Shape, Failure> {
        let wrapped = wrap::names(&order.sql, wrap).ok_or_else(unwritable)?;
        let outcome = self.ask(order, wrapped).await?;
        let names = outcome.rows.into_iter().map(|row| match row.into_iter().next() {
            Some(Field::Text(name)) => name,
            _ => String::new(),
        });
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            return Ok(Shape::default());
        }
        if wrap == Wrap::Change {
            self.command("ROLLBACK TO SAVEPOINT _pgferry_s", order).await?;
        }
        let wrapped = wrap::types(&order.sql, wrap, names.len());
        let outcome = self.ask(order, wrapped.ok_or_else(unwritable)?).await?;
        described(&outcome, names.into_iter()).ok_or_else(changed)
    }
}

/// The rows of [`wrap::types`].
fn described(outcome: &Outcome, names: impl Iterator<Item = String>) -> Option<Shape> {
    let columns = outcome.rows.iter().zip(names).map(|(row, name)| column(row, name));
    let columns = columns.collect::<Option<Vec<_>>>()?;
    (columns.len() == outcome.rows.len()).then_some(Shape { columns })
}

fn column(row: &[Field], name: String) -> Option<ColumnShape> {
    let [
        _,
        Field::Long(oid),
        Field::Text(type_name),
        Field::Text(kind),
        Field::Long(size),
        Field::Long(element),
        Field::Text(element_name),
        Field::Text(element_kind),
    ] = row
    else {
        return None;
    };
    let (oid, element) = (u32::try_from(*oid).ok()?, u32::try_from(*element).ok()?);
    let size = i16::try_from(*size).ok()?;
    let element = catalogued(element, element_name, element_kind, None);
    let value_type = catalogued(oid, type_name, kind, element);
    Some(ColumnShape::described(name, oid, value_type, size))
}
