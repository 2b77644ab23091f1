//! Copies between the far side and the host's socket, both ways at once.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::Error;

/// A far side, and what to ask when it ends.
pub(crate) struct Pump {
    far: Pin<Box<dyn Duplex>>,
    reason: Option<Reason>,
}

type Reason = Pin<Box<dyn Future<Output = Option<Error>> + Send>>;

trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Duplex for S {}

impl Pump {
    pub(crate) fn new(far: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self { far: Box::pin(far), reason: None }
    }

    pub(crate) fn with_reason(
        self,
        reason: impl Future<Output = Option<Error>> + Send + 'static,
    ) -> Self {
        Self { reason: Some(Box::pin(reason)), ..self }
    }

    /// Effect: copies until both sides ended, the far side failed, or the host closed its socket.
    /// Half closes are passed on.
    ///
    /// Errors: the far side's fault, with its reason if there is one. That the host goes away is no
    /// error.
    pub(crate) async fn run(self, host: &mut UnixStream) -> Result<(), Error> {
        let Self { far, mut reason } = self;
        match exchange(far, host, &mut reason).await {
            Ended::Cleanly | Ended::ByHost => Ok(()),
            Ended::Because(error) => Err(error),
            Ended::ByFar(cause) => {
                Err(ask(&mut reason).await.unwrap_or_else(|| Error::broken(&cause)))
            }
        }
    }
}

enum Ended {
    Cleanly,
    ByHost,
    ByFar(io::Error),
    Because(Error),
}

/// Both directions are driven together, each reading and writing in turn, so that neither a full far
/// side nor a full host can stop the other.
async fn exchange(
    far: Pin<Box<dyn Duplex>>,
    host: &mut UnixStream,
    reason: &mut Option<Reason>,
) -> Ended {
    let (mut far_in, mut far_out) = split(far);
    let (mut host_in, mut host_out) = host.split();
    let host_finished = Notify::new();
    let up = async {
        match copy(&mut host_in, &mut far_out).await {
            Ok(()) => {}
            Err(Fault::Reading(_)) => return Ended::ByHost,
            Err(Fault::Writing(cause)) => {
                // The far side may have said why before it stopped listening: let that through.
                sleep(LAST_WORDS).await;
                return Ended::ByFar(cause);
            }
        }
        // A far side that is gone already shows when it is read from.
        drop(far_out.shutdown().await);
        host_finished.notify_one();
        closed_altogether(host_in.as_ref()).await;
        Ended::ByHost
    };
    let down = async {
        match copy(&mut far_in, &mut host_out).await {
            Ok(()) => {}
            Err(Fault::Reading(cause)) => return Ended::ByFar(cause),
            Err(Fault::Writing(_)) => return Ended::ByHost,
        }
        if let Some(error) = ask(reason).await {
            return Ended::Because(error);
        }
        if host_out.shutdown().await.is_err() {
            return Ended::ByHost;
        }
        host_finished.notified().await;
        Ended::Cleanly
    };
    tokio::select! { ended = up => ended, ended = down => ended }
}

enum Fault {
    Reading(io::Error),
    Writing(io::Error),
}

/// Copies until the end of `from`. The end itself is passed on by the caller: towards the host the
/// reason has to be asked for first.
async fn copy<R, W>(from: &mut R, to: &mut W) -> Result<(), Fault>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = Vec::with_capacity(BUFFER);
    while from.read_buf(&mut buffer).await.map_err(Fault::Reading)? > 0 {
        to.write_all(&buffer).await.map_err(Fault::Writing)?;
        to.flush().await.map_err(Fault::Writing)?;
        buffer.clear();
    }
    Ok(())
}

/// After a half close the host may still read, or be gone; only the latter ends a silent far side.
/// Asked now and then, because readiness events can't tell them apart.
async fn closed_altogether(host: &UnixStream) {
    while !hung_up(host) {
        sleep(HANG_UP_CHECK).await;
    }
}

fn hung_up(host: &UnixStream) -> bool {
    let mut asked = [PollFd::from_borrowed_fd(host.as_fd(), PollFlags::empty())];
    let answered = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    answered.is_ok() && asked.iter().any(|fd| fd.revents().contains(PollFlags::HUP))
}

/// The reason can be asked for once.
async fn ask(reason: &mut Option<Reason>) -> Option<Error> {
    timeout(REASON_LIMIT, reason.take()?).await.ok().flatten()
}

/// Per direction. At 8 KiB a pump is half as fast for twice the CPU; above 64 KiB nothing is gained.
const BUFFER: usize = 64 * 1024;
const LAST_WORDS: Duration = Duration::from_secs(1);
const REASON_LIMIT: Duration = Duration::from_secs(1);
const HANG_UP_CHECK: Duration = Duration::from_millis(500);
