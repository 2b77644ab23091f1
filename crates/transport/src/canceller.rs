//! The thread that calls a plugin's `cancel`: one of its own for each instance, so that no open, and
//! no other plugin's cancel, can keep it waiting.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::sync::oneshot;

use crate::plugin::{Handle, Plugin};
use crate::watchdog::Watchdog;

#[derive(Debug)]
pub(crate) struct Canceller {
    asked: Mutex<Option<Sender<u64>>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Canceller {
    pub(crate) fn start(
        instance: &str,
        plugin: Arc<Plugin>,
        handle: Handle,
        runtime: runtime::Handle,
    ) -> io::Result<Self> {
        let (asked, asking) = channel();
        let (ending, ended) = oneshot::channel();
        let name = instance.to_owned();
        thread::Builder::new().name("pgferry-cancel".to_owned()).spawn(move || {
            work(&name, &asking, &plugin, handle, &runtime);
            // Nobody listens when the instance was given up.
            let _ = ending.send(());
        })?;
        Ok(Self { asked: Mutex::new(Some(asked)), ended: Mutex::new(Some(ended)) })
    }

    /// Has the plugin told. Does not wait for it.
    pub(crate) fn ask(&self, op: u64) {
        if let Some(asked) = &*self.asked.lock().unwrap_or_else(PoisonError::into_inner) {
            // Fails only if the thread died with a plugin's fault; the op is then abandoned.
            let _ = asked.send(op);
        }
    }

    /// Waits until the plugin was told of everything asked, and tells it nothing more.
    ///
    /// Cancel safety: a dropped future leaves the thread to end by itself.
    pub(crate) async fn stop(&self) {
        drop(self.asked.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            let _ = ended.await;
        }
    }
}

fn work(
    name: &str,
    asking: &Receiver<u64>,
    plugin: &Plugin,
    handle: Handle,
    runtime: &runtime::Handle,
) {
    while let Ok(op) = asking.recv() {
        let _watchdog = Watchdog::start(runtime, name, "cancel", SLOW);
        plugin.cancel(handle, op);
    }
}

const SLOW: Duration = Duration::from_millis(100);
