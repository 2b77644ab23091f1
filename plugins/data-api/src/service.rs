//! The Data API itself, through AWS's SDK.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::retry::RetryConfig;
use aws_sdk_rdsdata::config::timeout::TimeoutConfig;
use aws_sdk_rdsdata::config::{BehaviorVersion, IdentityCache, Region};
use aws_sdk_rdsdata::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_rdsdata::types::{
    ArrayValue, ColumnMetadata, DecimalReturnType, Field as Wire, LongReturnType, ResultSetOptions,
    SqlParameter,
};
use pgferry_transport_aws::{Account, Keys, Program, Proxy, Roots, http_client, provider};
use pgferry_transport_sdk::Error;

use crate::api::{Api, Call, Column, Field, Outcome, Parameter, TransactionId};
use crate::cluster::Cluster;
use crate::failure::{Effect, Failure};
use crate::fault::Fault;
use crate::refusal::{self, Action};

/// The way to the service of one region, for all sessions.
pub(crate) struct Way<P> {
    client: Client,
    region: String,
    keys: Arc<Keys<P>>,
}

impl<P: Program> Way<P> {
    /// Makes no call.
    ///
    /// Errors: denied, about certificates or the proxy.
    pub(crate) fn new(account: &Account, region: &str, keys: &Arc<Keys<P>>) -> Result<Self, Error> {
        let roots = Roots::load(account.ca_bundle.as_deref())?;
        let proxy = account.https_proxy.as_deref().map(Proxy::parse).transpose()?;
        let mut builder = aws_sdk_rdsdata::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .http_client(http_client(&roots, proxy.as_ref())?)
            .credentials_provider(provider(keys))
            .identity_cache(IdentityCache::no_cache())
            .timeout_config(timeouts())
            // A statement has no token that would make a repetition harmless.
            .retry_config(RetryConfig::disabled());
        if let Some(url) = &account.endpoint_url {
            builder = builder.endpoint_url(url);
        }
        let client = Client::from_conf(builder.build());
        Ok(Self { client, region: region.to_owned(), keys: Arc::clone(keys) })
    }
}

/// One database of one cluster over that way.
pub(crate) struct Service<P> {
    pub(crate) way: Arc<Way<P>>,
    pub(crate) cluster: Cluster,
}

impl<P: Program> Api for Service<P> {
    async fn execute(&self, call: Call) -> Result<Outcome, Failure> {
        let Call { sql, parameters, transaction, outlives_limit, describes } = call;
        let action = if outlives_limit { Action::ExecuteOn } else { Action::Execute };
        let parameters = parameters.into_iter().map(parameter).collect();
        let options = ResultSetOptions::builder()
            .decimal_return_type(DecimalReturnType::String)
            .long_return_type(LongReturnType::Long)
            .build();
        let sent = self
            .way
            .client
            .execute_statement()
            .resource_arn(&self.cluster.arn)
            .secret_arn(&self.cluster.secret)
            .database(&self.cluster.database)
            .sql(sql)
            .set_parameters(Some(parameters))
            .set_transaction_id(transaction.map(|id| id.0.to_string()))
            .include_result_metadata(describes)
            .continue_after_timeout(outlives_limit)
            .result_set_options(options)
            .send();
        match Box::pin(sent).await {
            Ok(output) => Ok(outcome(output)),
            Err(error) => Err(self.failed(action, &error).await),
        }
    }

    async fn begin(&self) -> Result<TransactionId, Failure> {
        let sent = self
            .way
            .client
            .begin_transaction()
            .resource_arn(&self.cluster.arn)
            .secret_arn(&self.cluster.secret)
            .database(&self.cluster.database)
            .send();
        match Box::pin(sent).await {
            Ok(begun) => begun.transaction_id.map(|id| TransactionId(id.into())).ok_or_else(|| {
                let words = "the Data API began a transaction without naming it";
                Failure::new(Effect::Unknown, Fault::error(refusal::PROTOCOL, words))
            }),
            Err(error) => Err(self.failed(Action::Begin, &error).await),
        }
    }

    async fn commit(&self, transaction: &TransactionId) -> Result<(), Failure> {
        let sent = self
            .way
            .client
            .commit_transaction()
            .resource_arn(&self.cluster.arn)
            .secret_arn(&self.cluster.secret)
            .transaction_id(&*transaction.0)
            .send();
        match Box::pin(sent).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(Action::Commit, &error).await),
        }
    }

    async fn rollback(&self, transaction: &TransactionId) -> Result<(), Failure> {
        let sent = self
            .way
            .client
            .rollback_transaction()
            .resource_arn(&self.cluster.arn)
            .secret_arn(&self.cluster.secret)
            .transaction_id(&*transaction.0)
            .send();
        match Box::pin(sent).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(Action::Rollback, &error).await),
        }
    }
}

impl<P: Program> Service<P> {
    async fn failed<E>(&self, action: Action, error: &SdkError<E>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let refused = refusal::of(action, error, &self.way.region);
        if refused.stale_keys {
            self.way.keys.forget().await;
        }
        refused.failure
    }
}

fn parameter((name, value): (String, Parameter)) -> SqlParameter {
    let value = match value {
        Parameter::Null => Wire::IsNull(true),
        Parameter::Text(text) => Wire::StringValue(text),
    };
    SqlParameter::builder().name(name).value(value).build()
}

fn outcome(output: ExecuteStatementOutput) -> Outcome {
    let columns = output.column_metadata.map(|all| all.into_iter().map(column).collect());
    let rows = output.records.unwrap_or_default().into_iter();
    let rows = rows.map(|row| row.into_iter().map(field).collect()).collect();
    let updated = u64::try_from(output.number_of_records_updated).unwrap_or_default();
    Outcome { columns, rows, updated }
}

fn column(metadata: ColumnMetadata) -> Column {
    Column {
        name: metadata.label.or(metadata.name).unwrap_or_default(),
        type_name: metadata.type_name.unwrap_or_default(),
        precision: metadata.precision,
        scale: metadata.scale,
    }
}

fn field(field: Wire) -> Field {
    match field {
        Wire::IsNull(_) => Field::Null,
        Wire::BooleanValue(value) => Field::Bool(value),
        Wire::LongValue(value) => Field::Long(value),
        Wire::DoubleValue(value) => Field::Double(value),
        Wire::StringValue(value) => Field::Text(value),
        Wire::BlobValue(value) => Field::Bytes(value.into_inner()),
        Wire::ArrayValue(value) => array(value),
        _ => Field::Unknown,
    }
}

fn array(value: ArrayValue) -> Field {
    fn each<T>(values: Vec<Option<T>>, make: impl Fn(T) -> Field) -> Field {
        let values = values.into_iter().map(|value| value.map_or(Field::Null, &make));
        Field::Array(values.collect())
    }
    match value {
        ArrayValue::ArrayValues(values) => each(values, array),
        ArrayValue::BooleanValues(values) => each(values, Field::Bool),
        ArrayValue::DoubleValues(values) => each(values, Field::Double),
        ArrayValue::LongValues(values) => each(values, Field::Long),
        ArrayValue::StringValues(values) => each(values, Field::Text),
        _ => Field::Unknown,
    }
}

/// The service ends a statement after 45 s and says so: its answer has to be waited for.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_mins(1))
        .operation_attempt_timeout(Duration::from_secs(70))
        .operation_timeout(Duration::from_secs(70))
        .build()
}
