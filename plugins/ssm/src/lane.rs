//! One connection's way through a session.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use pgferry_ssm_protocol::smux::StreamId;

use crate::line::{Ending, Line};

/// A stream of a session. Dropping it closes it, behind what is written.
pub(crate) struct Lane {
    line: Arc<Line>,
    id: StreamId,
}

impl Lane {
    pub(crate) fn new(line: Arc<Line>, id: StreamId) -> Self {
        Self { line, id }
    }

    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// What has come; nothing when the database has closed its connection.
    ///
    /// Cancel safety: nothing is lost.
    pub(crate) async fn read(&self) -> Result<Option<Bytes>, Ending> {
        poll_fn(|cx| self.line.poll_read(self.id, cx)).await
    }

    /// Takes what there is room for at once: nothing if the stream has ended.
    pub(crate) fn offer(&self, data: &[u8]) -> usize {
        self.line.write(self.id, data)
    }

    /// Takes all of `data`, as room comes; never returns if the stream has ended, which
    /// [`read`](Self::read) tells.
    ///
    /// Cancel safety: a part may have been taken.
    pub(crate) async fn write(&self, mut data: &[u8]) {
        while !data.is_empty() {
            let taken = poll_fn(|cx| self.line.poll_write(self.id, data, cx)).await;
            data = data.get(taken..).unwrap_or_default();
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.line.close(self.id);
        self.line.freed.notify_one();
    }
}
