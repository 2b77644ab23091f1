//! The child's side: a line in, a line out.

use std::io::BufRead as _;

use aws_credential_types::Credentials;
use pgferry_aws::discovery::{self, Found};
use pgferry_aws::{Account, AssumeRole, Aws, AwsError, Identity, SDK_LOGS};
use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Stands before every answer: the test harness prints too.
pub(crate) const MARK: &str = "answer: ";

/// More than a few, so that some wait for others.
const MANY: usize = 50;

#[tokio::test]
#[ignore = "the other tests start it"]
async fn child() {
    if std::env::var_os("AWS_CONFIG_FILE").is_none() {
        return;
    }
    log_everything();
    let aws = Aws::new();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let question: Value = serde_json::from_str(&line).unwrap();
        let answer = match answer(&aws, &question).await {
            Ok(value) => json!({ "ok": value }),
            Err(error) => json!({
                "kind": format!("{:?}", error.kind()),
                "text": error.to_string(),
                "hint": error.hint(),
            }),
        };
        println!("{MARK}{answer}");
    }
}

/// Everything that pgferry may show, the SDK's lines included, to the file that the parent names.
fn log_everything() {
    let Some(path) = std::env::var_os("LOG") else { return };
    let file = std::sync::Mutex::new(std::fs::File::create(path).unwrap());
    let log = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false);
    let (sdk, level) = SDK_LOGS;
    let filter = Targets::new().with_default(Level::TRACE).with_target(sdk, level);
    log.with_writer(file).finish().with(filter).init();
}

async fn answer(aws: &Aws, question: &Value) -> Result<Value, AwsError> {
    let account = aws.account(&identity(question));
    if question["impatient"] == true {
        // Time runs while nothing else does: limits come at once.
        tokio::time::pause();
    }
    let name = question["name"].as_str().unwrap_or_default();
    Ok(match question["ask"].as_str().unwrap() {
        "who" => who(&account).await?.into(),
        "region" => account.region().await?.into(),
        "secrets" => secrets(&account.credentials().await?),
        "credentials" => described(&account.credentials().await?),
        "many" => many(&account).await?.into(),
        "forget" => {
            account.forget();
            Value::Null
        }
        "cluster" => found(&discovery::find_cluster(name, &account).await?),
        "instance" => found(&discovery::find_instance(name, &account).await?),
        "host" => found(&discovery::find_by_host(name, &account).await?),
        other => panic!("{other}?"),
    })
}

fn identity(question: &Value) -> Identity {
    let text = |name: &str| question[name].as_str().map(str::to_owned);
    let role = text("role").map(|role_arn| AssumeRole {
        role_arn,
        external_id: text("external_id"),
        session_name: text("session"),
    });
    Identity {
        profile: text("profile"),
        region: text("region"),
        assume_role: role,
        endpoint_url: text("endpoint_url"),
    }
}

async fn who(account: &Account) -> Result<String, AwsError> {
    let client = aws_sdk_sts::Client::new(&account.config().await?);
    let answer = client.get_caller_identity().send().await;
    let answer =
        answer.map_err(|error| AwsError::from_sdk("sts", "GetCallerIdentity", &error, account))?;
    Ok(answer.arn().unwrap_or_default().to_owned())
}

/// How many different keys that many users get.
async fn many(account: &Account) -> Result<usize, AwsError> {
    let tasks: Vec<_> = (0..MANY)
        .map(|_| {
            let account = account.clone();
            tokio::spawn(async move { account.credentials().await })
        })
        .collect();
    let mut keys = std::collections::BTreeSet::new();
    for task in tasks {
        keys.insert(task.await.unwrap()?.access_key_id().to_owned());
    }
    Ok(keys.len())
}

/// What nobody may log.
fn secrets(credentials: &Credentials) -> Value {
    let token = credentials.session_token().map(str::to_owned);
    let secret = credentials.secret_access_key().to_owned();
    token.into_iter().chain([secret]).collect()
}

fn described(credentials: &Credentials) -> Value {
    json!({
        "key": credentials.access_key_id(),
        "temporary": credentials.session_token().is_some(),
        "ends": credentials.expiry().is_some(),
    })
}

fn found(found: &Found) -> Value {
    let custom = found.custom.iter().map(|it| json!([it.name, it.host, it.leads_to]));
    let members = found.members.iter().map(|it| json!([it.name, it.writer, it.host, it.status]));
    let serverless = found
        .serverless
        .map(|it| json!([it.min, it.max, it.pauses_after.map(|after| after.as_secs())]));
    json!({
        "kind": format!("{:?}", found.kind),
        "name": found.name,
        "resource_id": found.resource_id,
        "postgres": found.is_postgres(),
        "status": found.status,
        "writer": found.writer,
        "reader": found.reader,
        "custom": custom.collect::<Vec<_>>(),
        "members": members.collect::<Vec<_>>(),
        "port": found.port,
        "database": found.database,
        "master_user": found.master_user,
        "iam": found.iam,
        "secret_arn": found.secret_arn,
        "data_api": found.data_api,
        "serverless": serverless,
        "cluster": found.cluster,
    })
}
