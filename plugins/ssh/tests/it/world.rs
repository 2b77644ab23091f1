//! The program around the transport, as the tests need it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use pgferry_transport_sdk::{Error, State};
use pgferry_transport_ssh::bastion::{Bastion, Destination};
use pgferry_transport_ssh::config::Config;
use pgferry_transport_ssh::environment::Environment;
use pgferry_transport_ssh::surroundings::Surroundings;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A program that dials TCP, and knows what it is told.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) passphrase: Option<&'static str>,
    pub(crate) agent: Option<PathBuf>,
    /// Somebody at a terminal.
    pub(crate) person: Option<Person>,
    /// The home directory; without one, no `ssh_config` is read.
    pub(crate) home: Option<PathBuf>,
}

/// Somebody at a terminal, in the hands of the test.
pub(crate) struct Person {
    questions: mpsc::UnboundedSender<String>,
    answers: tokio::sync::Mutex<mpsc::UnboundedReceiver<&'static str>>,
}

impl Person {
    /// The person, what it is asked, and what it is to answer.
    pub(crate) fn new()
    -> (Self, mpsc::UnboundedReceiver<String>, mpsc::UnboundedSender<&'static str>) {
        let (questions, asked) = mpsc::unbounded_channel();
        let (answer, answers) = mpsc::unbounded_channel();
        (Self { questions, answers: answers.into() }, asked, answer)
    }
}

struct Program {
    world: World,
    dials: Arc<AtomicUsize>,
    states: mpsc::UnboundedSender<(State, String)>,
}

/// A transport in its world.
pub(crate) struct Transport {
    bastion: Arc<Bastion<Here>>,
    dials: Arc<AtomicUsize>,
    states: Mutex<mpsc::UnboundedReceiver<(State, String)>>,
}

/// The environment that is handed to the transport.
#[derive(Clone)]
pub(crate) struct Here(Arc<Program>);

/// A session that is being carried: its near end, and how the carrying ends.
pub(crate) struct Session {
    pub(crate) near: UnixStream,
    pub(crate) carried: JoinHandle<Result<(), Error>>,
}

impl World {
    #[expect(clippy::needless_pass_by_value, reason = "tests make a configuration for each")]
    pub(crate) fn transport(self, config: Config) -> Transport {
        let surroundings = self.surroundings();
        let (tell, states) = mpsc::unbounded_channel();
        let dials = Arc::new(AtomicUsize::new(0));
        let program = Program { world: self, dials: Arc::clone(&dials), states: tell };
        let bastion =
            Arc::new(Bastion::new(&config, &surroundings, Here(Arc::new(program))).unwrap());
        Transport { bastion, dials, states: Mutex::new(states) }
    }
}

impl World {
    /// A person of whose own files nothing is read.
    fn surroundings(&self) -> Surroundings {
        let agent = self.agent.iter().map(|path| path.to_str().unwrap().to_owned());
        Surroundings {
            home: self.home.clone(),
            system: PathBuf::from("/nonexistent"),
            variables: agent.map(|path| ("SSH_AUTH_SOCK".to_owned(), path)).collect(),
            ..Surroundings::here()
        }
    }
}

impl Transport {
    pub(crate) async fn open(&self, host: &str, port: u16) -> Result<Session, Error> {
        self.open_to(&Destination::new(host, port, LIMIT)).await
    }

    pub(crate) async fn open_to(&self, to: &Destination) -> Result<Session, Error> {
        let channel = self.bastion.open(to).await?;
        let (near, far) = UnixStream::pair().unwrap();
        Ok(Session { near, carried: tokio::spawn(channel.carry(far)) })
    }

    /// The error of an open that has to fail.
    pub(crate) async fn refusal(&self, host: &str, port: u16) -> Error {
        match self.open(host, port).await {
            Ok(_) => panic!("the open should have failed"),
            Err(error) => error,
        }
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Acquire)
    }

    pub(crate) async fn close(&self) {
        self.bastion.close().await;
    }

    pub(crate) async fn next_state(&self) -> (State, String) {
        let next = std::future::poll_fn(|cx| self.states.lock().unwrap().poll_recv(cx));
        timeout(LIMIT, next).await.expect("no state was reported").unwrap()
    }
}

impl Session {
    /// The error with which the carrying ends.
    pub(crate) async fn end(self) -> Error {
        let end = timeout(LIMIT, self.carried).await.expect("the session should have ended");
        end.unwrap().expect_err("the session should have ended with a reason")
    }
}

impl pgferry_transport_aws::Program for Here {
    async fn secret(&self, name: &str) -> Result<zeroize::Zeroizing<String>, Error> {
        Err(Error::denied(format!("the secret {name} is not granted")))
    }

    fn now(&self) -> SystemTime {
        #[expect(clippy::disallowed_methods, reason = "certificates are made to expire")]
        SystemTime::now()
    }
}

impl Environment for Here {
    type Stream = TcpStream;

    async fn dial(&self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, Error> {
        self.0.dials.fetch_add(1, Ordering::AcqRel);
        let dialled = timeout(limit, TcpStream::connect((host, port))).await;
        dialled.map_err(|_| Error::timeout("no answer"))?.map_err(Error::from)
    }

    async fn passphrase(&self, words: &str) -> Result<zeroize::Zeroizing<String>, Error> {
        if let Some(person) = &self.0.world.person {
            person.questions.send(words.to_owned()).unwrap();
            return Ok(person.answers.lock().await.recv().await.unwrap().to_owned().into());
        }
        let passphrase = self.0.world.passphrase;
        let refused = || Error::denied("the secret key_passphrase is not granted");
        passphrase.map(|text| text.to_owned().into()).ok_or_else(refused)
    }

    fn agent_socket(&self) -> Option<PathBuf> {
        self.0.world.agent.clone()
    }

    fn report(&self, state: State, text: &str) {
        // A test that does not look at states has dropped the other end by now.
        drop(self.0.states.send((state, text.to_owned())));
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }
}

/// Longer than anything here takes, short enough to wait for.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
