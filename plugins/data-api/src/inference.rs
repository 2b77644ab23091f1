//! The types of a statement's parameters, where the application does not say them: PostgreSQL is asked.
//!
//! It infers them as it prepares a statement, and tells them in `pg_prepared_statements`. The service's sessions are
//! others' next, so the statement is prepared and forgotten again in one call.

use std::sync::Arc;

use pgferry_sql::{Statement, TokenKind};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::api::{Api, Call, Field, Outcome};
use crate::failure::Failure;
use crate::fault::Fault;
use crate::order::ParameterType;
use crate::patience::Access;
use crate::session::Session;
use crate::shape::catalogued;
use crate::shapes::Key;
use crate::transaction::Scope;

impl<A: Api, S: AsyncRead + AsyncWrite + Unpin + Send> Session<A, S> {
    /// The types of the parameters: the application's where it says any, PostgreSQL's elsewhere.
    ///
    /// Errors: PostgreSQL's, if the statement is wrong.
    pub(crate) async fn parameter_types(
        &mut self,
        statement: &Statement<'_>,
        given: &[u32],
    ) -> Result<Vec<ParameterType>, Fault> {
        let count = count(statement).max(given.len());
        let known = (0..count).map(|index| ParameterType::known(*given.get(index)?));
        if let Some(types) = known.collect::<Option<Vec<_>>>() {
            return Ok(types);
        }
        let key = Key {
            sql: statement.text().to_owned(),
            types: given.iter().map(ToString::to_string).collect(),
            settings: self.settings.carried().clone().into_iter().collect(),
        };
        if let Some(types) = self.shapes.parameters(&key) {
            return Ok(types.to_vec());
        }
        let types = self.infer(statement, given, count).await.map_err(|failure| {
            let mut fault = failure.fault;
            // They are about a text of ours.
            (fault.position, fault.context) = (None, None);
            fault
        })?;
        self.shapes.learn_parameters(key, Arc::from(types.as_slice()));
        Ok(types)
    }

    async fn infer(
        &mut self,
        statement: &Statement<'_>,
        given: &[u32],
        count: usize,
    ) -> Result<Vec<ParameterType>, Failure> {
        let alone = self.work.is_none();
        if alone {
            self.work.begin(Scope::Implicit, "READ ONLY");
        }
        let asked = self.ask(statement, given, count).await;
        if alone {
            self.work.rollback().await;
        }
        asked
    }

    async fn ask(
        &mut self,
        statement: &Statement<'_>,
        given: &[u32],
        count: usize,
    ) -> Result<Vec<ParameterType>, Failure> {
        let mut names = Vec::new();
        for index in 0..count {
            names.push(match given.get(index) {
                Some(0) | None => "unknown".to_owned(),
                Some(oid) => match ParameterType::known(*oid) {
                    Some(known) => known.sql,
                    None => self.named(*oid).await?,
                },
            });
        }
        let name = format!("_pgferry_{:016x}", rand::random::<u64>());
        let list =
            if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        let prepare = format!("PREPARE {name}{list} AS {}", statement.text());
        let body = format!(
            "DECLARE found text; BEGIN EXECUTE {}; \
             SELECT pg_catalog.string_agg(t::oid::text, ',' ORDER BY n) INTO found \
             FROM pg_catalog.pg_prepared_statements, unnest(parameter_types) WITH ORDINALITY AS u(t, n) \
             WHERE name = {}; DEALLOCATE {name}; \
             PERFORM pg_catalog.set_config('pgferry.found', coalesce(found, ''), true); END",
            quoted(&prepare),
            quoted(&name)
        );
        let prepared = Call::new(format!("DO {}", quoted(&body)));
        self.work.call(prepared, Access::Writes).await?;
        let outcome = self.work.call(Call::new(FOUND), Access::Reads).await?;
        Ok(types(&outcome))
    }

    /// How a type that only this database has is written.
    async fn named(&mut self, oid: u32) -> Result<String, Failure> {
        let sql = format!(
            "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname) \
             FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace \
             WHERE t.oid = {oid}"
        );
        let outcome = self.work.call(Call::new(sql), Access::Reads).await?;
        match outcome.rows.first().and_then(|row| row.first()) {
            Some(Field::Text(name)) => Ok(name.clone()),
            _ => Ok("unknown".to_owned()),
        }
    }
}

/// The highest number of a parameter.
fn count(statement: &Statement<'_>) -> usize {
    let text = statement.text();
    let parameters = statement.tokens().iter().filter(|token| token.kind == TokenKind::Parameter);
    let numbers = parameters.filter_map(|token| token.text(text).strip_prefix('$')?.parse().ok());
    // More, and PostgreSQL will say so.
    numbers.filter(|number| *number <= MOST).max().unwrap_or_default()
}

fn types(outcome: &Outcome) -> Vec<ParameterType> {
    outcome.rows.iter().filter_map(|row| described(row)).collect()
}

fn described(row: &[Field]) -> Option<ParameterType> {
    let [
        Field::Long(oid),
        Field::Text(sql),
        Field::Text(kind),
        Field::Long(element),
        Field::Text(element_kind),
    ] = row
    else {
        return None;
    };
    let (oid, element) = (u32::try_from(*oid).ok()?, u32::try_from(*element).ok()?);
    if let Some(known) = ParameterType::known(oid) {
        return Some(known);
    }
    let element = catalogued(element, "", element_kind, None);
    let value_type = catalogued(oid, sql, kind, element).map(Arc::new);
    Some(ParameterType { oid, sql: sql.clone(), value_type })
}

fn quoted(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// As many as the protocol can bind.
const MOST: usize = 65_535;

const FOUND: &str = "SELECT t.oid::int8, \
    pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(t.typname), t.typtype::text, \
    coalesce(e.oid, 0)::int8, coalesce(e.typtype, 'b')::text \
    FROM unnest(pg_catalog.string_to_array(pg_catalog.current_setting('pgferry.found'), ',')::oid[]) \
    WITH ORDINALITY AS u(oid, n) JOIN pg_catalog.pg_type AS t ON t.oid = u.oid \
    JOIN pg_catalog.pg_namespace AS s ON s.oid = t.typnamespace \
    LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typlen = -1 ORDER BY u.n";

#[cfg(test)]
mod tests {
    use pgferry_sql::{Backslashes, statements};

    use super::*;

    #[test]
    fn the_highest_number_counts() {
        let count_of = |sql: &str| count(&statements(sql, Backslashes::Literal)[0]);
        assert_eq!(count_of("SELECT $3, $1, '$9', a$4"), 3);
        assert_eq!(count_of("SELECT 1"), 0);
    }

    #[test]
    fn a_statement_inside_a_string_keeps_its_own_quotes() {
        assert_eq!(quoted("a'b"), "'a''b'");
        assert_eq!(quoted("E'\\n'"), "E'E''\\\\n'''");
    }
}
