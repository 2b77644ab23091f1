//! The host's side of the transport contract: it finds plugins, makes their instances, and turns a
//! request for a database into one connected socket.
//!
//! It is not where transports are written (that is the SDK's, or a C header's), it speaks no
//! PostgreSQL and no TLS, and it moves no bytes: what it hands out is a socket. `direct`, plain TCP,
//! and `exec`, a command of the user's, are built in.
//!
//! Start from [`Transports::start`], [`Instance::open`] and [`Observer`].

mod answers;
mod canceller;
pub mod check;
mod connection;
mod dial;
mod error;
mod exec;
mod guest;
mod heard;
mod host;
mod instance;
mod layers;
mod loader;
mod losses;
mod metrics;
mod observer;
mod ops;
mod plugin;
mod prompt;
mod reply;
mod request;
mod search;
mod secret;
mod service;
mod socket;
mod spec;
mod standing;
mod status;
mod tcp;
mod text;
mod transports;
mod trust;
mod watchdog;

pub use connection::{CloseReason, Closed, Connection, Detail};
pub use error::{Defect, LoadError, LoadFailure, OpenError};
pub use instance::Instance;
pub use loader::inspect;
pub use observer::{Metric, MetricKind, Observer, Recorder, TunnelState, Unobserved};
pub use pgferry_transport_abi::EntryV1 as Entry;
pub use plugin::{PluginInfo, PluginSource};
pub use prompt::{Prompt, PromptError};
pub use request::{Cluster, OpenRequest, Purpose};
pub use search::SearchPath;
pub use service::{SecretAnswer, SecretFailure, SecretService};
pub use spec::{InstanceSpec, SecretSource};
pub use status::Status;
pub use transports::Transports;
