//! What botocore, the library under the AWS CLI, understands of the answers.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::client::Ferry;

#[test]
fn botocore_understands_every_answer() {
    let ferry = Ferry::start();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = tests.join("../../scripts/install-python-library.sh");
    let library = succeeded(Command::new("sh").arg(script).arg("botocore"));
    let mut python = Command::new("python3");
    python.arg(tests.join("tests/data_api/sdk.py")).env_clear();
    python.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    python.env("PYTHONPATH", library.trim_end()).envs(ferry.aws.envs());
    python.env("RESOURCE", &ferry.resource).env("SECRET", &ferry.secret);
    let heard: Value = serde_json::from_str(&succeeded(&mut python)).unwrap();
    let expected = json!({
        "records": [[
            {"longValue": 1}, {"doubleValue": "nan"}, {"blobValue": "00ff"}, {"isNull": true},
            {"arrayValue": {"stringValues": ["a", null]}},
        ]],
        "labels": ["?column?", "float8", "bytea", "?column?", "array"],
        "echo": [[{"blobValue": "00ff"}, {"doubleValue": "inf"}, {"booleanValue": true}]],
        "counted": 2,
        "batch": [{"generatedFields": []}],
        "committed": "Transaction Committed",
        "again": "TransactionNotFoundException",
        "relation": "DatabaseErrorException",
        "interval": "UnsupportedResultException",
        // These two are not in the model, so they have no class of their own.
        "infinity": "ClientError InternalFailure",
        "several": "ClientError ValidationException",
    });
    assert_eq!(heard, expected);
}

fn succeeded(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
