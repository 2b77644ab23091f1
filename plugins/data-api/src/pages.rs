//! Results that are larger than the service hands out: read again through a cursor, page by page.

use crate::api::{Api, Call, Field, Outcome};
use crate::failure::{Effect, Failure};
use crate::patience::Access;
use crate::run::{Order, Runner, Table, changed, printed_rows, unwritable};
use crate::transaction::Scope;
use crate::wrap::{self, Wrap};

impl<A: Api> Runner<'_, A> {
    /// Runs a query through a cursor. Only what provably reads comes here, for it has been run before.
    ///
    /// Errors: PostgreSQL's; a single row is larger than the service hands out.
    ///
    /// Cancel safety: the cursor ends with its transaction.
    pub(crate) async fn paged(&mut self, order: &Order) -> Result<Table, Failure> {
        let alone = self.work.is_none();
        if alone {
            self.work.begin(Scope::Implicit, "READ ONLY");
        }
        let table = self.pages(order).await;
        if alone {
            self.work.rollback().await;
        } else if let Err(failure) = &table {
            self.work.fail(failure.effect).await;
        }
        table
    }

    async fn pages(&mut self, order: &Order) -> Result<Table, Failure> {
        let shape = self.describe(order, Wrap::Query).await?;
        let wrapped = wrap::rows(&order.sql, Wrap::Query).ok_or_else(unwritable)?;
        let head = format!("DECLARE {CURSOR} SCROLL CURSOR FOR ");
        let declared = self.call(order, &format!("{head}{}", wrapped.sql));
        let declared = self.work.within(declared, Access::Reads).await;
        let before = head.chars().count() + wrapped.before;
        declared.map_err(|failure| self.fault(order, failure, before))?;
        let mut rows = Vec::new();
        let mut size = Page::default();
        loop {
            let fetched = self.utility(&format!("FETCH FORWARD {} FROM {CURSOR}", size.rows)).await;
            let page = match fetched {
                Ok(page) => page,
                Err(failure) if failure.effect == Effect::TooLarge && size.shrink() => {
                    // Whether the cursor has moved is not known.
                    let back = format!("MOVE ABSOLUTE {} FROM {CURSOR}", rows.len());
                    self.utility(&back).await?;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let last = page.rows.len() < size.rows;
            size.adapt(&page);
            rows.extend(printed_rows(&page, shape.columns.len()).ok_or_else(changed)?);
            if last {
                break;
            }
        }
        self.utility(&format!("CLOSE {CURSOR}")).await?;
        Ok(Table { shape, rows })
    }

    async fn utility(&mut self, sql: &str) -> Result<Outcome, Failure> {
        let call = Call::new(format!("{}{sql}", self.label));
        self.work.within(call, Access::Reads).await
    }
}

/// How many rows are asked for at a time.
struct Page {
    rows: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { rows: 200 }
    }
}

impl Page {
    /// Fewer rows. False: it is one already.
    fn shrink(&mut self) -> bool {
        let more = self.rows > 1;
        self.rows = (self.rows / 4).max(1);
        more
    }

    /// As many as stay well below the limit, if the next are like these.
    fn adapt(&mut self, page: &Outcome) {
        let length = |row: &Vec<Field>| match row.as_slice() {
            [Field::Text(text)] => text.len() + OVERHEAD,
            _ => OVERHEAD,
        };
        let bytes: usize = page.rows.iter().map(length).sum();
        if let Some(rows) = (page.rows.len() * WANTED).checked_div(bytes) {
            self.rows = rows.clamp(1, self.rows * 8);
        }
    }
}

const CURSOR: &str = "_pgferry_c";
/// Of the 1 MB that the service hands out, in bytes.
const WANTED: usize = 600 * 1024;
/// What the service counts for each row besides its text.
const OVERHEAD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_grow_with_small_rows_and_shrink_with_large_ones() {
        let page = |rows: usize, length: usize| Outcome {
            rows: vec![vec![Field::Text("x".repeat(length))]; rows],
            ..Outcome::default()
        };
        let mut size = Page::default();
        size.adapt(&page(200, 10));
        assert_eq!(size.rows, 1600);
        size.adapt(&page(100, 60_000));
        assert_eq!(size.rows, 10);
        assert!(size.shrink() && size.shrink());
        assert!(!size.shrink());
    }
}
