use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::version::CLIENT_VERSION;

/// What the agent asks for.
///
/// Source: `message/clientmessage.go` of aws/session-manager-plugin.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Request {
    pub(crate) agent_version: String,
    #[serde(default)]
    pub(crate) requested_client_actions: Option<Vec<Action>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Action {
    pub(crate) action_type: String,
    #[serde(default)]
    pub(crate) action_parameters: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SessionType {
    pub(crate) session_type: String,
    #[serde(default)]
    pub(crate) properties: Option<Properties>,
}

/// Of a session of type `Port`: all of them text. `type` is absent in raw sessions.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Properties {
    #[serde(default)]
    pub(crate) host: Option<String>,
    #[serde(default)]
    pub(crate) port_number: Option<String>,
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Response {
    client_version: &'static str,
    processed_client_actions: Vec<Processed>,
    errors: Option<Vec<String>>,
}

impl Response {
    pub(crate) fn new(processed_client_actions: Vec<Processed>) -> Self {
        let errors: Vec<String> = processed_client_actions
            .iter()
            .map(|processed| processed.error.clone())
            .filter(|error| !error.is_empty())
            .collect();
        let errors = (!errors.is_empty()).then_some(errors);
        Self { client_version: CLIENT_VERSION, processed_client_actions, errors }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Processed {
    action_type: String,
    action_status: u8,
    action_result: Option<Value>,
    error: String,
}

impl Processed {
    pub(crate) fn success(action_type: String) -> Self {
        Self { action_type, action_status: SUCCESS, action_result: None, error: String::new() }
    }

    pub(crate) fn failed(action_type: String, error: String) -> Self {
        Self { action_type, action_status: FAILED, action_result: None, error }
    }

    pub(crate) fn unsupported(action_type: String, error: String) -> Self {
        Self { action_type, action_status: UNSUPPORTED, action_result: None, error }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Complete {
    #[serde(default)]
    pub(crate) customer_message: Option<String>,
}

const SUCCESS: u8 = 1;
const FAILED: u8 = 2;
const UNSUPPORTED: u8 = 3;
