//! Runs a statement in a session and writes its result.

use std::{error::Error, pin::pin};

use futures_util::TryStreamExt as _;
use serde_json::{Map, Value, json};
use tokio_postgres::{
    Client, Column, Row, Statement,
    error::DbError,
    types::{FromSql, Type},
};

use super::{
    argument::{Argument, Parameter},
    column,
    field::{Kind, Unwritable, octets},
    placeholder::{self, Scanned},
    refusal::{
        database_error, from_postgres, internal, several_statements, unsupported_result, validation,
    },
    request::{AnswerOptions, Format, Rows},
    session::Session,
    type_name::type_name,
    unknowns::{RowLimit, SeveralStatements, Unknowns},
};
use crate::aws::reply::Failure;

/// A statement with its parameters in their places.
pub(super) struct Prepared {
    sql: String,
    arguments: Vec<Argument>,
}

impl Prepared {
    /// Everything that is found out without a database.
    pub(super) fn new(
        sql: &str,
        parameters: &[Parameter],
        unknowns: &Unknowns,
    ) -> Result<Self, Failure> {
        if unknowns.several == SeveralStatements::BySemicolon
            && placeholder::holds_several(sql, unknowns.escape_strings)
        {
            return Err(several_statements());
        }
        let Scanned { sql, names } = placeholder::scan(sql, unknowns.escape_strings);
        let named = |name: &String| parameters.iter().find(|parameter| parameter.name == *name);
        // What has no value stays behind as a bare `$1`.
        let arguments = names.iter().filter_map(named).map(|it| it.argument(unknowns.null_type));
        Ok(Self { arguments: arguments.collect::<Result<_, _>>()?, sql })
    }
}

/// Why a statement has no answer.
pub(super) enum Trouble {
    /// PostgreSQL refused it.
    Refused(Failure),
    /// As before, and the session is of no more use.
    Lost(Failure),
    /// It was run, but what it returned cannot be.
    Unreturnable(Failure),
}

impl Trouble {
    fn with(error: &tokio_postgres::Error, unknowns: &Unknowns) -> Self {
        let failure = from_postgres(error, unknowns.error_text);
        match error.as_db_error().map(DbError::severity) {
            Some("FATAL" | "PANIC") | None => Self::Lost(failure),
            Some(_) => Self::Refused(failure),
        }
    }

    pub(super) fn failure(self) -> Failure {
        match self {
            Self::Refused(failure) | Self::Lost(failure) | Self::Unreturnable(failure) => failure,
        }
    }
}

/// Runs it to its end.
///
/// Cancel safety: the session must not be used again after a cancellation.
pub(super) async fn run(
    session: &mut Session,
    prepared: &Prepared,
    options: AnswerOptions,
    unknowns: &Unknowns,
) -> Result<Value, Trouble> {
    let trouble = |error| Trouble::with(&error, unknowns);
    session.prepared += 1;
    let types: Vec<Type> = prepared.arguments.iter().map(Argument::declared).collect();
    let client = &session.client;
    let statement = client.prepare_typed(&prepared.sql, &types).await.map_err(trouble)?;
    check_count(session, &statement, types.len()).await?;
    let columns = statement.columns();
    if options.rows == Rows::Refused && !columns.is_empty() {
        let message = "A batch takes statements that return no rows.";
        return Err(Trouble::Refused(validation(message)));
    }
    let metadata = match (options.metadata, options.format) {
        (true, Format::Fields) => Some(column::metadata(client, columns).await.map_err(trouble)?),
        (false, _) | (_, Format::Json) => None,
    };
    let (rows, changed) = fetch(client, &statement, &prepared.arguments).await.map_err(
        |error| match copy_response(&error, &prepared.sql) {
            Some(message) => Trouble::Lost(database_error(&message)),
            None => trouble(error),
        },
    )?;
    if columns.is_empty() {
        return Ok(json!({"numberOfRecordsUpdated": changed}));
    }
    let records = written(columns, &rows, options, unknowns).map_err(Trouble::Unreturnable)?;
    Ok(answer(columns, &records, metadata, options))
}

/// Refuses as PostgreSQL does, whom the library does not let come so far.
async fn check_count(
    session: &Session,
    statement: &Statement,
    supplied: usize,
) -> Result<(), Trouble> {
    let required = statement.params().len();
    if supplied == required {
        return Ok(());
    }
    // A transaction is aborted by it.
    session.command("DO $$ BEGIN RAISE SQLSTATE '08P01'; END $$").await.ok();
    Err(Trouble::Refused(database_error(&format!(
        "ERROR: bind message supplies {supplied} parameters, but prepared statement \"sqlx_s_{}\" \
         requires {required}; SQLState: 08P01",
        session.prepared
    ))))
}

/// What the service says when PostgreSQL begins a COPY, in which it loses its way.
fn copy_response(error: &tokio_postgres::Error, sql: &str) -> Option<String> {
    let copies = error.as_db_error().is_none() && error.to_string().starts_with("unexpected");
    let reads = sql.to_ascii_uppercase().contains("STDIN");
    let message = if reads { "CopyInResponse" } else { "CopyOutResponse" };
    copies.then(|| format!("execute: unexpected message: {message}"))
}

async fn fetch(
    client: &Client,
    statement: &Statement,
    arguments: &[Argument],
) -> Result<(Vec<Row>, u64), tokio_postgres::Error> {
    let mut stream = pin!(client.query_raw(statement, arguments).await?);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        rows.push(row);
    }
    Ok((rows, stream.rows_affected().unwrap_or_default()))
}

fn written(
    columns: &[Column],
    rows: &[Row],
    options: AnswerOptions,
    unknowns: &Unknowns,
) -> Result<Vec<Vec<Value>>, Failure> {
    if rows.is_empty() {
        // A type is looked at when there is a value of it.
        return Ok(Vec::new());
    }
    let kinds: Vec<Kind> = columns
        .iter()
        .map(|column| {
            Kind::of(column.type_(), unknowns).ok_or_else(|| {
                let name = type_name(column.type_());
                let message = format!("The result contains the unsupported data type {name}.");
                unsupported_result(&message)
            })
        })
        .collect::<Result<_, _>>()?;
    let mut total = 0;
    rows.iter()
        .map(|row| {
            let record = record(row, &kinds, options)?;
            let size = 2 + record.iter().map(|field| 4 + octets(field)).sum::<usize>();
            if size > ROW_LIMIT && unknowns.row_limit == RowLimit::Enforced {
                return Err(unsupported_result(
                    "The result contains a row that exceeds the size limit 64 KB.",
                ));
            }
            total += size;
            if total > RESULT_LIMIT {
                return Err(unsupported_result("The result exceeds the size limit 1 MB."));
            }
            Ok(record)
        })
        .collect()
}

fn record(row: &Row, kinds: &[Kind], options: AnswerOptions) -> Result<Vec<Value>, Failure> {
    let fields = kinds.iter().enumerate().map(|(at, kind)| {
        let Raw(bytes) = row.try_get(at).map_err(|_| internal())?;
        kind.field(bytes, options).map_err(|why| match why {
            Unwritable::MultiDimensional => {
                unsupported_result("The result contains a multidimensional array.")
            }
            Unwritable::Broken => internal(),
        })
    });
    fields.collect()
}

fn answer(
    columns: &[Column],
    records: &[Vec<Value>],
    metadata: Option<Vec<Value>>,
    options: AnswerOptions,
) -> Value {
    if options.format == Format::Json {
        let objects: Vec<_> = records.iter().map(|record| object(columns, record)).collect();
        let text = Value::Array(objects).to_string();
        return json!({"formattedRecords": text, "numberOfRecordsUpdated": 0});
    }
    let mut answer = json!({"numberOfRecordsUpdated": 0, "records": records});
    if let (Some(metadata), Some(answer)) = (metadata, answer.as_object_mut()) {
        answer.insert("columnMetadata".to_owned(), Value::Array(metadata));
    }
    answer
}

/// Of columns with the same name, the last remains.
fn object(columns: &[Column], record: &[Value]) -> Value {
    let members = columns.iter().zip(record).map(|(column, field)| {
        let member = field.as_object().and_then(|it| it.iter().next());
        let value = member.filter(|(kind, _)| *kind != "isNull").map(|(_, value)| value.clone());
        (column.name().to_owned(), value.unwrap_or(Value::Null))
    });
    Value::Object(members.collect::<Map<_, _>>())
}

/// A value in binary form, whatever its type.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

const RESULT_LIMIT: usize = 1024 * 1024;
const ROW_LIMIT: usize = 64 * 1024;
