//! The connections within a session, as xtaci/smux 1.5 and the agent's accept loop have them.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, split},
    net::TcpStream,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    super::{message::Broken, record::SessionEnd, session::Session},
    Channel,
    handshake::KeepAlive,
    smux::{Command, Frame, LONGEST, Unread},
};

/// Serves the client's streams; returns only when the session cannot go on.
pub(super) async fn serve(
    channel: &Channel,
    pipe: DuplexStream,
    target: SocketAddr,
    keep_alive: KeepAlive,
) -> SessionEnd {
    let (read, write) = split(pipe);
    let (frames, queue) = mpsc::channel(1);
    let (opened, accepts) = mpsc::unbounded_channel();
    let mux = Arc::new(Mux {
        session: channel.session.clone(),
        streams: Mutex::default(),
        bucket: watch::Sender::new(BUCKET),
        heard: watch::Sender::new(Instant::now()),
        frames,
    });
    tokio::select! {
        end = mux.receive(read, opened) => end,
        () = send(write, queue) => SessionEnd::Failed("the pipe is gone".to_owned()),
        () = accept(channel, &mux, target, accepts) => SessionEnd::TargetClosed,
        () = mux.keep_alive(keep_alive) => SessionEnd::Failed("keep-alive timeout".to_owned()),
    }
}

struct Mux {
    session: Arc<Session>,
    streams: Mutex<Streams>,
    /// Bytes that may still be received before somebody has to take some.
    bucket: watch::Sender<i64>,
    /// When the last frame came.
    heard: watch::Sender<Instant>,
    frames: mpsc::Sender<Frame>,
}

#[derive(Default)]
struct Streams {
    open: HashMap<u32, mpsc::UnboundedSender<Vec<u8>>>,
    /// Those the client has closed.
    finished: HashSet<u32>,
    last: u32,
}

/// A stream the client has opened.
struct Opened {
    id: u32,
    data: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Mux {
    async fn receive(
        &self,
        mut pipe: ReadHalf<DuplexStream>,
        opened: mpsc::UnboundedSender<Opened>,
    ) -> SessionEnd {
        let mut bucket = self.bucket.subscribe();
        loop {
            // An empty bucket stops all streams, not only the one that nobody reads.
            bucket.wait_for(|left| *left > 0).await.ok();
            let frame = match Frame::read(&mut pipe).await {
                Ok(frame) => frame,
                Err(Unread::Broken(broken)) => return broken.into(),
                Err(Unread::Ended) => return SessionEnd::TargetClosed,
            };
            self.heard.send_replace(Instant::now());
            if let Err(broken) = self.take(frame, &opened) {
                return broken.into();
            }
        }
    }

    fn take(&self, frame: Frame, opened: &mpsc::UnboundedSender<Opened>) -> Result<(), Broken> {
        let id = frame.stream;
        let mut streams = self.streams();
        match frame.command {
            Command::KeepAlive => {}
            Command::Open if id <= streams.last.max(1) => {
                return Err(Broken(format!("stream {id} opened after {}", streams.last)));
            }
            Command::Open => {
                let (sender, data) = mpsc::unbounded_channel();
                streams.last = id;
                streams.open.insert(id, sender);
                opened.send(Opened { id, data }).ok();
                drop(streams);
                self.session.update(|state| {
                    state.record.streams += 1;
                    state.record.open_streams += 1;
                });
            }
            Command::Data | Command::Close if id > streams.last => {
                return Err(Broken(format!("{:?} on stream {id}, never opened", frame.command)));
            }
            Command::Data | Command::Close if streams.finished.contains(&id) => {
                return Err(Broken(format!("{:?} on stream {id} after its FIN", frame.command)));
            }
            Command::Data => {
                let length = frame.data.len();
                let taken = streams.open.get(&id).is_some_and(|it| it.send(frame.data).is_ok());
                if taken {
                    self.fill(-signed(length));
                }
            }
            Command::Close => {
                streams.finished.insert(id);
                streams.open.remove(&id);
            }
        }
        Ok(())
    }

    /// Closes a stream on this side.
    async fn close(&self, mut opened: Opened) {
        self.streams().open.remove(&opened.id);
        opened.data.close();
        while let Ok(data) = opened.data.try_recv() {
            self.fill(signed(data.len()));
        }
        self.frames.send(Frame::new(Command::Close, opened.id)).await.ok();
        self.session.update(|state| state.record.open_streams -= 1);
    }

    /// Carries one connection. Whichever side ends first ends it whole: there is no half-close.
    async fn carry(self: Arc<Self>, mut opened: Opened, mut target: TcpStream) {
        let (mut read, mut write) = target.split();
        let there = async {
            while let Some(data) = opened.data.recv().await {
                let written = write.write_all(&data).await;
                self.fill(signed(data.len()));
                if written.is_err() {
                    return;
                }
            }
        };
        let back = async {
            let mut buffer = vec![0; LONGEST];
            while let Ok(length @ 1..) = read.read(&mut buffer).await {
                let data = buffer.get(..length).unwrap_or_default().to_vec();
                let frame = Frame { data, ..Frame::new(Command::Data, opened.id) };
                if self.frames.send(frame).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = there => {}
            () = back => {}
        }
        drop(target);
        self.close(opened).await;
    }

    /// Returns when the client has not been heard for too long, if that is agreed to matter.
    async fn keep_alive(&self, keep_alive: KeepAlive) {
        if keep_alive == KeepAlive::Off {
            return std::future::pending().await;
        }
        let asking = async {
            loop {
                sleep(Duration::from_secs(10)).await;
                self.frames.send(Frame::new(Command::KeepAlive, 0)).await.ok();
            }
        };
        let silence = async {
            loop {
                let ends = *self.heard.borrow() + Duration::from_secs(30);
                sleep_until(ends).await;
                if ends <= *self.heard.borrow() + Duration::from_secs(30) {
                    return;
                }
            }
        };
        tokio::select! {
            () = asking => {}
            () = silence => {}
        }
    }

    fn fill(&self, bytes: i64) {
        self.bucket.send_modify(|left| *left += bytes);
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send(mut pipe: WriteHalf<DuplexStream>, mut queue: mpsc::Receiver<Frame>) {
    while let Some(frame) = queue.recv().await {
        if pipe.write_all(&frame.write()).await.is_err() {
            return;
        }
    }
}

/// Dials one connection after the other: one that hangs holds up those behind it.
async fn accept(
    channel: &Channel,
    mux: &Arc<Mux>,
    target: SocketAddr,
    mut accepts: mpsc::UnboundedReceiver<Opened>,
) {
    let mut connections = JoinSet::new();
    let mut held = channel.session.conditions.dials_held.subscribe();
    loop {
        let opened = tokio::select! {
            opened = accepts.recv() => opened,
            Some(_) = connections.join_next() => continue,
        };
        let Some(opened) = opened else { return };
        held.wait_for(|held| !held).await.ok();
        if let Ok(target) = TcpStream::connect(target).await {
            target.set_nodelay(true).ok();
            connections.spawn(mux.clone().carry(opened, target));
        } else {
            channel.refuse_connection();
            mux.close(opened).await;
        }
    }
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// `MaxReceiveBuffer`, in bytes.
const BUCKET: i64 = 4 * 1024 * 1024;
