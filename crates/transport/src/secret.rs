//! Secrets: those granted to an instance, had from a service, or typed by a person; read when a plugin
//! asks, wiped afterwards.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::Arc;

use pgferry_transport_abi as abi;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::guest::Guest;
use crate::plugin::borrow;
use crate::standing::Phase;
use crate::text::bounded;
use crate::{InstanceSpec, Prompt, PromptError, SecretAnswer, SecretService, SecretSource, Status};

pub(crate) type Value = Zeroizing<Vec<u8>>;

/// The secrets granted to an instance, and whom to ask for others.
pub(crate) struct Secrets {
    instance: String,
    granted: BTreeMap<String, SecretSource>,
    service: Option<Arc<dyn SecretService>>,
    prompt: Option<Arc<dyn Prompt>>,
    /// No person is asked any more.
    withdrawn: CancellationToken,
    /// The instance is told to end.
    over: CancellationToken,
}

impl Secrets {
    pub(crate) fn new(spec: &InstanceSpec) -> Self {
        Self {
            instance: spec.name.clone(),
            granted: spec.secrets.clone(),
            service: spec.service.clone(),
            prompt: spec.prompt.clone(),
            withdrawn: CancellationToken::new(),
            over: CancellationToken::new(),
        }
    }

    /// No person is asked from now on.
    pub(crate) fn stop_asking(&self) {
        self.withdrawn.cancel();
    }

    /// As [`Self::stop_asking`], and what services are still busy with is given up.
    pub(crate) fn end(&self) {
        self.withdrawn.cancel();
        self.over.cancel();
    }

    /// Cancelled when the instance ends.
    pub(crate) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// What a service has for a request. A grant of that name goes before it.
    fn served(&self, request: &str) -> Option<SecretAnswer> {
        let name = name(request);
        if self.granted.contains_key(name) { None } else { self.service.as_ref()?.answer(name) }
    }

    /// Reads a secret, or asks for it: a request is a name, and after a line break words for a person.
    /// May block on a file, and for as long as a person thinks.
    fn read(&self, request: &str) -> Result<Value, Failure> {
        let (name, words) = request.split_once('\n').unwrap_or((request, ""));
        match (self.granted.get(name), &self.prompt) {
            (Some(source), _) => Self::granted(name, source),
            (None, Some(prompt)) if !words.is_empty() => self.ask(&**prompt, name, words),
            _ => Err(self.denied(name)),
        }
    }

    fn ask(&self, prompt: &dyn Prompt, name: &str, words: &str) -> Result<Value, Failure> {
        if self.withdrawn.is_cancelled() {
            return Err(Failure::new(Status::Cancelled, "shutting down"));
        }
        let question =
            format!("{} (transport {}): ", bounded(words.as_bytes(), 1024), self.instance);
        prompt.ask(&question, &self.withdrawn).map_err(|error| match error {
            PromptError::NoTerminal => self.denied(name),
            PromptError::Withdrawn => Failure::new(Status::Cancelled, error.to_string()),
            PromptError::Unanswered => Failure::new(Status::Denied, error.to_string()),
            PromptError::Unusable(_) => Failure::new(Status::Internal, error.to_string()),
        })
    }

    fn granted(name: &str, source: &SecretSource) -> Result<Value, Failure> {
        let unreadable = |what: String| {
            Failure::new(Status::Config, format!("the secret \"{name}\" cannot be read: {what}"))
        };
        match source {
            SecretSource::Env(variable) => std::env::var_os(variable)
                .map(|value| Zeroizing::new(value.into_vec()))
                .ok_or_else(|| unreadable(format!("the variable {variable} is not set"))),
            SecretSource::File(path) => {
                read_file(path).map_err(|error| unreadable(format!("{}: {error}", path.display())))
            }
        }
    }

    fn denied(&self, name: &str) -> Failure {
        let name = bounded(name.as_bytes(), 64);
        let grant = if name.starts_with(AWS) {
            "aws = {}, or what there is to say of profile and region,".to_owned()
        } else {
            format!("secrets.\"{name}\" = {{ env = \"…\" }} or {{ file = \"…\" }}")
        };
        Failure::new(
            Status::Denied,
            format!(
                "the secret \"{name}\" {UNGRANTED} {}; grant it with {grant} in its configuration",
                self.instance
            ),
        )
    }
}

impl Guest {
    /// Answers a plugin's request for a secret, exactly once.
    pub(crate) fn secret(self: &Arc<Self>, op: u64, name: String, reply: SecretReply) {
        let serving = self.phase() <= Phase::Serving;
        if let Some(answer) = self.secrets.served(&name) {
            // Otherwise dropping the reply says why there is nothing.
            if serving {
                self.serve_secret(op, self::name(&name), answer, reply);
            }
            return;
        }
        if !serving {
            // The answer must not come after `destroy` returned, so it comes before this does.
            reply.answer(&self.secrets.read(&name));
            return;
        }
        let guest = Arc::clone(self);
        let reply = reply.holding(self.busy.token());
        drop(self.runtime.spawn_blocking(move || reply.answer(&guest.secrets.read(&name))));
    }
}

/// Whom to give a secret. Answers by itself when dropped.
pub(crate) struct SecretReply {
    callback: Option<(abi::BytesCallback, UserData)>,
    /// Until it is dropped, the plugin's instance is not destroyed.
    token: Option<TaskTrackerToken>,
}

#[derive(Clone, Copy)]
pub(crate) struct UserData(pub(crate) *mut c_void);

// SAFETY: the contract has the plugin expect its callback, and with it this pointer, on any thread.
#[expect(unsafe_code, reason = "a plugin's pointer, only ever passed back")]
unsafe impl Send for UserData {}

impl SecretReply {
    pub(crate) fn new(callback: abi::BytesCallback, data: *mut c_void) -> Self {
        Self { callback: Some((callback, UserData(data))), token: None }
    }

    pub(crate) fn holding(self, token: TaskTrackerToken) -> Self {
        let mut reply = self;
        reply.token = Some(token);
        reply
    }

    pub(crate) fn answer(mut self, outcome: &Result<Value, Failure>) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: &Result<Value, Failure>) {
        let Some((callback, data)) = self.callback.take() else { return };
        let (status, value, message) = match outcome {
            Ok(value) => (Status::Ok, value.as_slice(), ""),
            Err(failure) => (failure.status, [].as_slice(), failure.message.as_str()),
        };
        // SAFETY: the plugin's own callback with its own data, once; texts live for the call.
        #[expect(unsafe_code, reason = "call into a plugin")]
        unsafe {
            callback(data.0, status.raw(), borrow(value), abi::Str::borrow(message));
        }
    }
}

impl Drop for SecretReply {
    fn drop(&mut self) {
        self.send(&Err(Failure::new(Status::Cancelled, "shutting down")));
    }
}

fn read_file(path: &Path) -> std::io::Result<Value> {
    let file = File::open(path)?;
    // Room for all of it at once: growing would leave copies behind.
    let length = file.metadata()?.len().min(LONGEST);
    let mut value = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.take(LONGEST).read_to_end(&mut value)?;
    for end in [b'\n', b'\r'] {
        if value.last() == Some(&end) {
            value.pop();
        }
    }
    Ok(value)
}

/// The name that a request begins with.
fn name(request: &str) -> &str {
    request.split_once('\n').map_or(request, |(name, _)| name)
}

/// What the names of AWS's secrets begin with.
const AWS: &str = "aws:";

const LONGEST: u64 = 1024 * 1024;

/// Of every secret that the configuration withholds.
pub(crate) const UNGRANTED: &str = "is not granted to the transport";

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(name: &str, source: SecretSource) -> Secrets {
        asking(BTreeMap::from([(name.to_owned(), source)]), None)
    }

    fn asking(granted: BTreeMap<String, SecretSource>, prompt: Option<Arc<dyn Prompt>>) -> Secrets {
        let spec =
            InstanceSpec { secrets: granted, prompt, ..InstanceSpec::new("prod-bastion", "x") };
        Secrets::new(&spec)
    }

    /// Has one secret, and says how often it was asked.
    struct Once;

    impl SecretService for Once {
        fn answer(&self, name: &str) -> Option<SecretAnswer> {
            let value = (name == "aws:credentials").then(|| Zeroizing::new(b"{}".to_vec()))?;
            Some(Box::pin(std::future::ready(Ok(value))))
        }

        fn identity(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn a_grant_goes_before_a_service_and_a_service_before_a_person() {
        let served = |granted: &str| {
            let secrets = [(granted.to_owned(), SecretSource::Env("HOME".to_owned()))].into();
            let service: Option<Arc<dyn SecretService>> = Some(Arc::new(Once));
            let spec = InstanceSpec { secrets, service, ..InstanceSpec::new("x", "x") };
            Secrets::new(&spec).served("aws:credentials\nfor a person").is_some()
        };
        assert!(served("other"));
        assert!(!served("aws:credentials"));
    }

    #[test]
    fn aws_credentials_that_are_not_granted_are_denied_with_the_key_that_grants_them() {
        let failure = asking(BTreeMap::new(), None).read("aws:credentials").unwrap_err();
        assert_eq!(failure.status, Status::Denied);
        assert!(failure.message.contains("grant it with aws = {}"), "{}", failure.message);
    }

    /// Gives the question back as the answer, if there is a terminal.
    struct Echo {
        terminal: bool,
    }

    impl Prompt for Echo {
        fn ask(&self, question: &str, _: &CancellationToken) -> Result<Value, PromptError> {
            let typed = self.terminal.then(|| Zeroizing::new(question.as_bytes().to_vec()));
            typed.ok_or(PromptError::NoTerminal)
        }
    }

    #[test]
    fn a_person_is_asked_only_for_what_is_not_granted_and_has_words() {
        let granted = [("key".to_owned(), SecretSource::Env("CARGO_PKG_NAME".to_owned()))];
        let secrets = asking(granted.into(), Some(Arc::new(Echo { terminal: true })));
        let text = |request| secrets.read(request).map(|value| value.to_vec());
        assert_eq!(text("key\nthe key").unwrap(), b"pgferry-transport");
        let question = b"the other\xef\xbf\xbdone (transport prod-bastion): ".as_slice();
        assert_eq!(text("other\nthe other\u{fffd}one").unwrap(), question);
        assert_eq!(text("other").unwrap_err().status, Status::Denied);
        assert_eq!(text("other\n").unwrap_err().status, Status::Denied);
        assert!(
            !String::from_utf8(text("x\na\nb\x1b[2J").unwrap()).unwrap().contains(['\n', '\x1b'])
        );
        secrets.stop_asking();
        assert_eq!(text("other\nthe other one").unwrap_err().status, Status::Cancelled);
    }

    #[test]
    fn without_a_terminal_the_way_to_grant_it_is_named() {
        let secrets = asking(BTreeMap::new(), Some(Arc::new(Echo { terminal: false })));
        let failure = secrets.read("key\nthe key").unwrap_err();
        assert_eq!(failure.status, Status::Denied);
        assert!(failure.message.contains("secrets.\"key\" = "), "{}", failure.message);
    }

    #[test]
    fn one_line_break_at_the_end_of_a_file_is_no_part_of_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "a b\n\r\n").unwrap();
        let value = secrets("key", SecretSource::File(path)).read("key").unwrap();
        assert_eq!(value.as_slice(), b"a b\n");
    }

    #[test]
    fn what_is_not_granted_is_denied_with_the_way_to_grant_it() {
        let denied =
            secrets("key", SecretSource::Env("HOME".to_owned())).read("other").unwrap_err();
        assert_eq!(denied.status, Status::Denied);
        assert!(denied.message.contains("prod-bastion"), "{}", denied.message);
        assert!(denied.message.contains(r#"secrets."other" = "#), "{}", denied.message);
    }

    #[test]
    fn a_missing_source_is_named() {
        let source = SecretSource::Env("PGFERRY_NO_SUCH_VARIABLE".to_owned());
        let failure = secrets("key", source).read("key").unwrap_err();
        assert_eq!(failure.status, Status::Config);
        assert!(failure.message.contains("PGFERRY_NO_SUCH_VARIABLE"), "{}", failure.message);
    }
}
