//! Carries one direction of one connection through its faults.

use std::{io, num::NonZeroU64, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    counters::Counters,
    settings::{Direction, Lane, Settings},
};

pub(super) struct Pump {
    pub(super) direction: Direction,
    pub(super) settings: watch::Receiver<Settings>,
    pub(super) count: watch::Sender<Counters>,
    pub(super) half_closes_before: u64,
}

/// Why a connection ends as a whole.
pub(super) enum End {
    /// Its allowance is spent, or a peer is gone.
    Close,
    /// A reset, made or received: it is passed on as what it is.
    Reset,
}

struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

impl Pump {
    /// Carries bytes until the sender ends, the direction is half-closed, or the connection ends.
    ///
    /// Reading and delivering are two loops with a queue between them: a delay must add latency,
    /// not take throughput away.
    pub(super) async fn run(self, from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), End> {
        let (queue, queued) = mpsc::channel(QUEUE);
        tokio::select! {
            carried = async { tokio::try_join!(self.read(from, queue), self.deliver(queued, &mut to)) } => {
                carried?;
            }
            () = self.half_closed() => {}
        }
        // The other direction may go on; a peer that is gone already needs no end.
        to.shutdown().await.ok();
        Ok(())
    }

    async fn read(&self, mut from: ReadHalf<'_>, queue: mpsc::Sender<Chunk>) -> Result<(), End> {
        loop {
            self.flowing().await;
            let mut bytes = vec![0; CHUNK];
            let length = from.read(&mut bytes).await.map_err(|error| End::from(&error))?;
            if length == 0 {
                return Ok(());
            }
            bytes.truncate(length);
            let due = Instant::now() + self.lane().delay;
            if queue.send(Chunk { due, bytes }).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn deliver(
        &self,
        mut queued: mpsc::Receiver<Chunk>,
        to: &mut WriteHalf<'_>,
    ) -> Result<(), End> {
        while let Some(chunk) = queued.recv().await {
            sleep_until(chunk.due).await;
            let mut rest = chunk.bytes.as_slice();
            while !rest.is_empty() {
                self.flowing().await;
                let (piece, later) = rest.split_at(rest.len().min(piece_length(self.lane().rate)));
                self.write(piece, to).await?;
                rest = later;
            }
        }
        Ok(())
    }

    async fn write(&self, piece: &[u8], to: &mut WriteHalf<'_>) -> Result<(), End> {
        let lane = self.lane();
        let wanted = piece.len() as u64;
        let (granted, last) =
            lane.allowance().map_or((wanted, false), |allowance| allowance.take(wanted));
        let granted = usize::try_from(granted).map_or(piece, |n| piece.split_at(n).0);
        to.write_all(granted).await.map_err(|error| End::from(&error))?;
        let written = granted.len() as u64;
        self.count.send_modify(|counters| counters.add(self.direction, written));
        if last {
            return Err(End::Close);
        }
        if let Some(rate) = lane.rate {
            sleep(Duration::from_nanos(written.saturating_mul(1_000_000_000) / rate)).await;
        }
        Ok(())
    }

    fn lane(&self) -> Lane {
        self.settings.borrow().lane(self.direction).clone()
    }

    /// Waits while the direction is stalled.
    async fn flowing(&self) {
        let mut settings = self.settings.clone();
        // An error means that the relay is going away, which ends this connection too.
        settings.wait_for(|settings| !settings.lane(self.direction).stalled).await.ok();
    }

    async fn half_closed(&self) {
        let mut settings = self.settings.clone();
        let asked = |settings: &Settings| {
            settings.lane(self.direction).half_closes != self.half_closes_before
        };
        settings.wait_for(asked).await.ok();
    }
}

impl From<&io::Error> for End {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset => Self::Reset,
            _ => Self::Close,
        }
    }
}

/// Small enough that a slow rate is a trickle and not a row of bursts.
fn piece_length(rate: Option<NonZeroU64>) -> usize {
    let per_piece = rate.map_or(CHUNK as u64, |rate| rate.get() / PIECES_PER_SECOND);
    usize::try_from(per_piece).unwrap_or(CHUNK).clamp(1, CHUNK)
}

const CHUNK: usize = 16 * 1024;
/// Chunks under way: what a delayed direction may hold.
const QUEUE: usize = 256;
const PIECES_PER_SECOND: u64 = 50;
