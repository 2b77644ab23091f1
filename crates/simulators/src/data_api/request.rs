//! Requests, read and held to the limits of the service.
//!
//! Source: the Amazon RDS Data Service API reference, 2018-08-01.

use serde_json::{Map, Value};

use super::{
    argument::Parameter,
    refusal::{bad_request, validation},
};
use crate::aws::{call::Incoming, reply::Failure};

/// What is asked for, and of whom.
pub(super) struct Request {
    pub(super) resource: String,
    pub(super) secret: String,
    pub(super) database: Option<String>,
    pub(super) operation: Operation,
}

pub(super) enum Operation {
    Execute(Statement),
    Batch { sql: String, sets: Vec<Vec<Parameter>>, transaction: Option<String> },
    Begin,
    Commit(String),
    Rollback(String),
}

pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) transaction: Option<String>,
    pub(super) answer: AnswerOptions,
    pub(super) timeout: Timeout,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AnswerOptions {
    pub(super) rows: Rows,
    pub(super) metadata: bool,
    pub(super) format: Format,
    pub(super) longs: Longs,
    pub(super) decimals: Decimals,
}

/// Whether a statement may return rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Returned,
    /// In a batch.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Fields,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Longs {
    Long,
    String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decimals {
    String,
    DoubleOrLong,
}

/// What happens to a statement that takes longer than 45 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeout {
    Cancels,
    LetsRun,
}

impl Request {
    pub(super) fn read(incoming: &Incoming) -> Result<Self, Failure> {
        check_size(incoming)?;
        let value = incoming.json()?;
        let body = Body(value.as_object().ok_or_else(|| not_a("structure"))?);
        if body.text("schema", 64)?.is_some() {
            return Err(validation("The schema parameter isn't supported."));
        }
        Ok(Self {
            resource: body.required("resourceArn", 100)?,
            secret: body.required("secretArn", 100)?,
            database: body.owned("database", 64)?,
            operation: operation(&incoming.action, &body)?,
        })
    }

    /// The transaction it names.
    pub(super) fn transaction(&self) -> Option<&str> {
        match &self.operation {
            Operation::Execute(statement) => statement.transaction.as_deref(),
            Operation::Batch { transaction, .. } => transaction.as_deref(),
            Operation::Commit(id) | Operation::Rollback(id) => Some(id),
            Operation::Begin => None,
        }
    }

    /// What happens when it takes too long.
    pub(super) fn timeout(&self) -> Timeout {
        match &self.operation {
            Operation::Execute(statement) => statement.timeout,
            Operation::Batch { .. }
            | Operation::Begin
            | Operation::Commit(_)
            | Operation::Rollback(_) => Timeout::Cancels,
        }
    }

    /// The statement it brings.
    pub(super) fn sql(&self) -> Option<&str> {
        match &self.operation {
            Operation::Execute(Statement { sql, .. }) | Operation::Batch { sql, .. } => Some(sql),
            Operation::Begin | Operation::Commit(_) | Operation::Rollback(_) => None,
        }
    }
}

fn check_size(incoming: &Incoming) -> Result<(), Failure> {
    let headers = incoming.request.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
    if headers.sum::<usize>() + incoming.request.body.len() > REQUEST_LIMIT {
        return Err(validation("The request exceeds the size limit 4 MB."));
    }
    Ok(())
}

fn operation(action: &str, body: &Body<'_>) -> Result<Operation, Failure> {
    match action {
        "ExecuteStatement" => statement(body).map(Operation::Execute),
        "BatchExecuteStatement" => {
            let sets = body.list("parameterSets")?.iter().map(|set| {
                let set = set.as_array().ok_or_else(|| not_a("list"))?;
                set.iter().map(Parameter::read).collect()
            });
            let sets = sets.collect::<Result<_, _>>()?;
            let transaction = body.owned("transactionId", ID_LIMIT)?;
            Ok(Operation::Batch { sql: body.required("sql", SQL_LIMIT)?, sets, transaction })
        }
        "BeginTransaction" => Ok(Operation::Begin),
        "CommitTransaction" => Ok(Operation::Commit(body.required("transactionId", ID_LIMIT)?)),
        "RollbackTransaction" => Ok(Operation::Rollback(body.required("transactionId", ID_LIMIT)?)),
        // ExecuteSql among them: it is gone from Aurora Serverless v2.
        _ => Err(bad_request("This operation isn't supported.")),
    }
}

fn statement(body: &Body<'_>) -> Result<Statement, Failure> {
    let empty = Map::new();
    let options = match body.0.get("resultSetOptions") {
        None | Some(Value::Null) => &empty,
        Some(options) => options.as_object().ok_or_else(|| not_a("structure"))?,
    };
    let options = Body(options);
    let answer = AnswerOptions {
        rows: Rows::Returned,
        metadata: body.flag("includeResultMetadata")?,
        format: body
            .choice("formatRecordsAs", [("NONE", Format::Fields), ("JSON", Format::Json)])?,
        longs: options
            .choice("longReturnType", [("LONG", Longs::Long), ("STRING", Longs::String)])?,
        decimals: options.choice(
            "decimalReturnType",
            [("STRING", Decimals::String), ("DOUBLE_OR_LONG", Decimals::DoubleOrLong)],
        )?,
    };
    let timeout = body.flag("continueAfterTimeout")?;
    Ok(Statement {
        sql: body.required("sql", SQL_LIMIT)?,
        parameters: body
            .list("parameters")?
            .iter()
            .map(Parameter::read)
            .collect::<Result<_, _>>()?,
        transaction: body.owned("transactionId", ID_LIMIT)?,
        answer,
        timeout: if timeout { Timeout::LetsRun } else { Timeout::Cancels },
    })
}

struct Body<'a>(&'a Map<String, Value>);

impl Body<'_> {
    fn text(&self, name: &str, limit: usize) -> Result<Option<&str>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= limit => Ok(Some(text)),
            Some(Value::String(_)) => Err(validation(&format!(
                "1 validation error detected: Value at '{name}' failed to satisfy constraint: \
                 Member must have length less than or equal to {limit}"
            ))),
            Some(_) => Err(not_a("string")),
        }
    }

    fn owned(&self, name: &str, limit: usize) -> Result<Option<String>, Failure> {
        self.text(name, limit).map(|text| text.map(str::to_owned))
    }

    fn required(&self, name: &str, limit: usize) -> Result<String, Failure> {
        self.owned(name, limit)?.ok_or_else(|| {
            validation(&format!(
                "1 validation error detected: Value null at '{name}' failed to satisfy \
                 constraint: Member must not be null"
            ))
        })
    }

    fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| not_a("boolean")),
        }
    }

    fn list(&self, name: &str) -> Result<&[Value], Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(value) => value.as_array().map(Vec::as_slice).ok_or_else(|| not_a("list")),
        }
    }

    /// The first is the default.
    fn choice<T: Copy>(&self, name: &str, known: [(&str, T); 2]) -> Result<T, Failure> {
        let [(_, default), _] = known;
        let Some(word) = self.text(name, usize::MAX)? else { return Ok(default) };
        let found = known.iter().find(|(other, _)| *other == word).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let words = known.map(|(word, _)| word).join(", ");
            validation(&format!(
                "1 validation error detected: Value '{word}' at '{name}' failed to satisfy \
                 constraint: Member must satisfy enum value set: [{words}]"
            ))
        })
    }
}

pub(super) fn not_a(kind: &str) -> Failure {
    let message = format!("A value is no {kind} where one is expected");
    Failure::new(400, "SerializationException", &message)
}

const REQUEST_LIMIT: usize = 4 * 1024 * 1024;
/// Characters.
const SQL_LIMIT: usize = 65_536;
const ID_LIMIT: usize = 192;
