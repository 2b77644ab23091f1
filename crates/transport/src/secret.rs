//! Secrets: only those granted to an instance, read when a plugin asks, wiped afterwards.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::Arc;

use pgferry_transport_abi as abi;
use tokio_util::task::task_tracker::TaskTrackerToken;
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::guest::Guest;
use crate::plugin::borrow;
use crate::standing::Phase;
use crate::{SecretSource, Status};

type Value = Zeroizing<Vec<u8>>;

/// The secrets granted to an instance.
#[derive(Debug)]
pub(crate) struct Secrets {
    instance: String,
    granted: BTreeMap<String, SecretSource>,
}

impl Secrets {
    pub(crate) fn new(instance: String, granted: BTreeMap<String, SecretSource>) -> Self {
        Self { instance, granted }
    }

    /// Reads a secret. May block on a file.
    fn read(&self, name: &str) -> Result<Value, Failure> {
        let source = self.granted.get(name).ok_or_else(|| self.denied(name))?;
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
        let name = crate::text::bounded(name.as_bytes(), 64);
        Failure::new(
            Status::Denied,
            format!(
                "the secret \"{name}\" is not granted to the transport {}; grant it with \
                 secrets.\"{name}\" = {{ env = \"…\" }} or {{ file = \"…\" }} in its configuration",
                self.instance
            ),
        )
    }
}

impl Guest {
    /// Answers a plugin's request for a secret, exactly once.
    pub(crate) fn secret(self: &Arc<Self>, name: String, reply: SecretReply) {
        if self.phase() > Phase::Serving {
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

    fn holding(self, token: TaskTrackerToken) -> Self {
        let mut reply = self;
        reply.token = Some(token);
        reply
    }

    fn answer(mut self, outcome: &Result<Value, Failure>) {
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

const LONGEST: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(name: &str, source: SecretSource) -> Secrets {
        Secrets::new("prod-bastion".to_owned(), BTreeMap::from([(name.to_owned(), source)]))
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
