//! The two tables of function pointers and the types they pass.

use core::ffi::{c_char, c_void};
use core::marker::{PhantomData, PhantomPinned};

use crate::{Flags, LogLevel, MetricKind, State, Status, Str};

/// A connected `SOCK_STREAM` socket: a descriptor on POSIX, a `SOCKET` on Windows.
pub type Sock = isize;

/// No socket.
pub const NO_SOCK: Sock = -1;

/// Names one open, probe or create. Chosen by the host, never 0, never used twice; callbacks take 0
/// for "on behalf of no op".
pub type Op = u64;

/// The plugin's own object behind an instance. Opaque to the host.
#[derive(Debug)]
#[repr(C)]
pub struct Instance {
    opaque: [u8; 0],
    // Neither Send nor Sync nor Unpin by itself: nothing is known about it here.
    marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// The answer to a dial: `(ud, status, socket, message)`, exactly once. The socket belongs to the
/// plugin from this call on.
pub type SockCallback = unsafe extern "C" fn(*mut c_void, Status, Sock, Str);

/// The answer to a secret: `(ud, status, value, message)`, exactly once. The value is borrowed.
pub type BytesCallback = unsafe extern "C" fn(*mut c_void, Status, Str, Str);

/// The one exported symbol of a plugin, `pgferry_transport_<name>_v1`.
pub type EntryV1 = unsafe extern "C" fn() -> *const Plugin;

/// What the host offers to one instance. The header says what each callback does and who owns what.
///
/// The host of a major fills every field of that major's minor 0, so none of these is ever NULL;
/// fields of later minors will be `Option` and need [`has!`](crate::has).
#[derive(Debug)]
#[repr(C)]
pub struct Host {
    /// Size of the host's table in bytes.
    pub struct_size: u32,
    /// [`ABI_MAJOR`](crate::ABI_MAJOR) of the host.
    pub abi_major: u16,
    /// [`ABI_MINOR`](crate::ABI_MINOR) of the host.
    pub abi_minor: u16,
    /// Passed back as the first argument of every callback.
    pub ctx: *mut c_void,
    /// Answers an op: `(ctx, op, status, socket, message, detail_json)`.
    pub op_done: unsafe extern "C" fn(*mut c_void, Op, Status, Sock, Str, Str),
    /// Says why a stream ended, before its socket is closed.
    pub stream_closed: unsafe extern "C" fn(*mut c_void, Op, Status, Str),
    /// Reports the state of what the instance's streams share.
    pub state: unsafe extern "C" fn(*mut c_void, State, Str),
    /// The most talkative level that is kept.
    pub log_level: unsafe extern "C" fn(*mut c_void) -> LogLevel,
    /// Logs: `(ctx, level, op, message, fields_json)`.
    pub log: unsafe extern "C" fn(*mut c_void, LogLevel, Op, Str, Str),
    /// Makes a connected pair of stream sockets; the second argument points at room for two.
    pub socketpair: unsafe extern "C" fn(*mut c_void, *mut Sock) -> Status,
    /// Opens a socket beneath this transport: `(ctx, op, request_json, callback, ud)`; the dial's number.
    pub dial: unsafe extern "C" fn(*mut c_void, Op, Str, SockCallback, *mut c_void) -> u64,
    /// Asks to give up a dial; its callback still comes.
    pub dial_cancel: unsafe extern "C" fn(*mut c_void, u64),
    /// Fetches a granted secret: `(ctx, op, name, callback, ud)`.
    pub secret: unsafe extern "C" fn(*mut c_void, Op, Str, BytesCallback, *mut c_void),
    /// Registers a metric: `(ctx, kind, name, help, labels_json)`; its number, 0 = refused.
    pub metric: unsafe extern "C" fn(*mut c_void, MetricKind, Str, Str, Str) -> u64,
    /// Records a value.
    pub metric_record: unsafe extern "C" fn(*mut c_void, u64, f64),
}

/// What a plugin says about itself, and its entries. Static.
///
/// Every pointer and entry may be NULL here, because the table comes from a stranger: the host
/// refuses one whose required fields are (all but `config_schema` and `probe`). It must be read only
/// after `struct_size` was found large enough.
#[derive(Debug)]
#[repr(C)]
pub struct Plugin {
    /// Size of the plugin's table in bytes.
    pub struct_size: u32,
    /// [`ABI_MAJOR`](crate::ABI_MAJOR) the plugin was built for.
    pub abi_major: u16,
    /// [`ABI_MINOR`](crate::ABI_MINOR) the plugin was built for.
    pub abi_minor: u16,
    /// The oldest host minor it can work with.
    pub min_host_minor: u16,
    /// 0.
    pub reserved: u16,
    /// 0.
    pub reserved2: u32,
    /// What kind of transport it is.
    pub flags: Flags,
    /// Static, NUL-terminated; equal to the name in the symbol.
    pub name: *const c_char,
    /// Static, NUL-terminated.
    pub version: *const c_char,
    /// Static, NUL-terminated; one line for a person.
    pub about: *const c_char,
    /// The JSON Schema of the configuration: static, NUL-terminated. May be NULL.
    pub config_schema: Option<unsafe extern "C" fn() -> *const c_char>,
    /// Makes an instance: `(host, op, config_json, out)`.
    pub create: Option<unsafe extern "C" fn(*const Host, Op, Str, *mut *mut Instance) -> Status>,
    /// Opens one path: `(instance, op, target_json)`.
    pub open: Option<unsafe extern "C" fn(*mut Instance, Op, Str)>,
    /// Asks to give up an open.
    pub cancel: Option<unsafe extern "C" fn(*mut Instance, Op)>,
    /// Says whether an open would work. May be NULL.
    pub probe: Option<unsafe extern "C" fn(*mut Instance, Op, Str)>,
    /// Ends the instance.
    pub destroy: Option<unsafe extern "C" fn(*mut Instance)>,
}

// SAFETY: the contract demands that every callback can be called from any thread and that `ctx` is
// only ever passed back; calling one is unsafe and repeats that promise.
#[expect(unsafe_code, reason = "the border of the contract")]
unsafe impl Send for Host {}
// SAFETY: as for Send; the fields themselves are never written after creation.
#[expect(unsafe_code, reason = "the border of the contract")]
unsafe impl Sync for Host {}
// SAFETY: the contract demands a static, never written table whose entries any thread may call.
#[expect(unsafe_code, reason = "the border of the contract")]
unsafe impl Send for Plugin {}
// SAFETY: as for Send.
#[expect(unsafe_code, reason = "the border of the contract")]
unsafe impl Sync for Plugin {}
