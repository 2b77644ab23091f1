//! The numbers of the contract: status codes, flags, log levels, states, metric kinds.

use core::fmt;
use core::ops::BitOr;

/// The outcome of an operation. 0 is good, everything else negative.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Status(pub i32);

impl Status {
    /// The host takes the socket.
    pub const OK: Self = Self(0);
    /// The configuration is wrong. The host disables the instance and doesn't retry.
    pub const CONFIG: Self = Self(-1);
    /// Our credentials were refused. SQLSTATE 28000, tried again for the next client only.
    pub const AUTH: Self = Self(-2);
    /// We are known but not allowed. As `AUTH`, and the hint is shown.
    pub const DENIED: Self = Self(-3);
    /// Nobody is there. SQLSTATE 08001, tried again within the client's deadline.
    pub const UNREACHABLE: Self = Self(-4);
    /// No answer in time. As `UNREACHABLE`.
    pub const TIMEOUT: Self = Self(-5);
    /// Told to slow down. The host waits `retry_after_ms`, else backs off.
    pub const THROTTLED: Self = Self(-6);
    /// The host asked for it. Silent.
    pub const CANCELLED: Self = Self(-7);
    /// This plugin can't do that. As `CONFIG`.
    pub const UNSUPPORTED: Self = Self(-8);
    /// The peer spoke nonsense. SQLSTATE 08P01, one retry.
    pub const PROTOCOL: Self = Self(-9);
    /// A fault of the plugin or a broken connection. SQLSTATE 08006.
    pub const INTERNAL: Self = Self(-10);
    /// The plugin caught its own crash. SQLSTATE 08006; three in a minute take the instance down.
    pub const PANIC: Self = Self(-11);

    /// Effect: the same code, with every number this version doesn't know turned into `INTERNAL`.
    #[must_use]
    pub const fn known(self) -> Self {
        if self.0 <= 0 && self.0 >= Self::PANIC.0 { self } else { Self::INTERNAL }
    }

    /// Whether this is [`Status::OK`].
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// The name the header gives the code, without its prefix; unknown codes are `INTERNAL`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OK => "OK",
            Self::CONFIG => "CONFIG",
            Self::AUTH => "AUTH",
            Self::DENIED => "DENIED",
            Self::UNREACHABLE => "UNREACHABLE",
            Self::TIMEOUT => "TIMEOUT",
            Self::THROTTLED => "THROTTLED",
            Self::CANCELLED => "CANCELLED",
            Self::UNSUPPORTED => "UNSUPPORTED",
            Self::PROTOCOL => "PROTOCOL",
            Self::PANIC => "PANIC",
            _ => "INTERNAL",
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a plugin says about itself in its descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Flags(pub u64);

impl Flags {
    /// A byte transport that makes its own sockets.
    pub const NONE: Self = Self(0);
    /// The plugin is the PostgreSQL server itself: no TLS and no login beyond it.
    pub const SPEAKS_POSTGRES: Self = Self(1);
    /// All its tunnel sockets come from the host's `dial`: `via` is allowed.
    pub const DIALS_VIA_HOST: Self = Self(2);

    /// Effect: both sets together; `|` for constants.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every flag of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// A log level. The higher, the more talkative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct LogLevel(pub i32);

impl LogLevel {
    /// Nothing is kept.
    pub const OFF: Self = Self(0);
    /// Something failed.
    pub const ERROR: Self = Self(1);
    /// Something looks wrong.
    pub const WARN: Self = Self(2);
    /// Something happened that an operator wants to know.
    pub const INFO: Self = Self(3);
    /// For whoever looks for a fault.
    pub const DEBUG: Self = Self(4);
    /// For whoever wrote the plugin.
    pub const TRACE: Self = Self(5);
}

/// The state of what an instance's streams share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct State(pub i32);

impl State {
    /// It works.
    pub const UP: Self = Self(0);
    /// It works, but not well.
    pub const DEGRADED: Self = Self(1);
    /// It is lost; opens fail until it is back.
    pub const DOWN: Self = Self(2);
}

/// What recording a value does to a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct MetricKind(pub i32);

impl MetricKind {
    /// Recording adds.
    pub const COUNTER: Self = Self(1);
    /// Recording sets.
    pub const GAUGE: Self = Self(2);
    /// Recording observes one value; times are in seconds.
    pub const HISTOGRAM: Self = Self(3);
}
