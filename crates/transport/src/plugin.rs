//! A plugin that passed the checks, and the calls into it.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::ptr;

use pgferry_transport_abi as abi;

use crate::{Defect, Entry, Status};

/// What is known about a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line about it.
    pub about: String,
    /// Where it comes from.
    pub source: PluginSource,
}

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginSource {
    /// Part of the host.
    BuiltIn,
    /// Linked into the program.
    Linked,
    /// Loaded from a library.
    Loaded {
        /// The library, links resolved.
        path: PathBuf,
        /// Its digest.
        sha256: [u8; 32],
    },
}

/// A plugin whose descriptor fits this program.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) info: PluginInfo,
    flags: abi::Flags,
    schema: Option<unsafe extern "C" fn() -> *const c_char>,
    create: unsafe extern "C" fn(
        *const abi::Host,
        abi::Op,
        abi::Str,
        *mut *mut abi::Instance,
    ) -> abi::Status,
    open: unsafe extern "C" fn(*mut abi::Instance, abi::Op, abi::Str),
    cancel: unsafe extern "C" fn(*mut abi::Instance, abi::Op),
    destroy: unsafe extern "C" fn(*mut abi::Instance),
}

/// A plugin's own instance. Only ever handed back to the plugin that made it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle(*mut abi::Instance);

// SAFETY: the contract lets every entry be called from any thread, several at once.
#[expect(unsafe_code, reason = "the plugin's pointer is passed between the threads that call it")]
unsafe impl Send for Handle {}
// SAFETY: as above; the host never looks behind the pointer.
#[expect(unsafe_code, reason = "the plugin's pointer is passed between the threads that call it")]
unsafe impl Sync for Handle {}

impl Plugin {
    /// Asks the entry for its descriptor and checks it against this program and the name it was
    /// asked for by.
    pub(crate) fn from_entry(
        entry: Entry,
        name: &str,
        source: PluginSource,
    ) -> Result<Self, Defect> {
        // SAFETY: an `Entry` is the contract's entry of a library that is never unloaded.
        #[expect(unsafe_code, reason = "call of a plugin's entry")]
        let descriptor = unsafe { entry() };
        // SAFETY: as above.
        #[expect(unsafe_code, reason = "call of a plugin's entry")]
        let again = unsafe { entry() };
        if descriptor != again {
            return Err(Defect::Changing);
        }
        Self::from_descriptor(check(descriptor)?, name, source)
    }

    fn from_descriptor(
        descriptor: &'static abi::Plugin,
        name: &str,
        source: PluginSource,
    ) -> Result<Self, Defect> {
        let own_name = text(descriptor.name, "name")?;
        if own_name != name {
            return Err(Defect::Name(own_name));
        }
        Ok(Self {
            info: PluginInfo {
                name: own_name,
                version: text(descriptor.version, "version")?,
                about: text(descriptor.about, "about")?,
                source,
            },
            flags: descriptor.flags,
            schema: descriptor.config_schema,
            create: descriptor.create.ok_or(Defect::Missing("create"))?,
            open: descriptor.open.ok_or(Defect::Missing("open"))?,
            cancel: descriptor.cancel.ok_or(Defect::Missing("cancel"))?,
            destroy: descriptor.destroy.ok_or(Defect::Missing("destroy"))?,
        })
    }

    pub(crate) fn speaks_postgres(&self) -> bool {
        self.flags.contains(abi::Flags::SPEAKS_POSTGRES)
    }

    pub(crate) fn dials_via_host(&self) -> bool {
        self.flags.contains(abi::Flags::DIALS_VIA_HOST)
    }

    /// The JSON Schema of its configuration, if it has one.
    pub(crate) fn schema(&self) -> Option<String> {
        let schema = self.schema?;
        // SAFETY: a descriptor's function of a library that is never unloaded, without arguments.
        #[expect(unsafe_code, reason = "call into a plugin")]
        let text = unsafe { schema() };
        if text.is_null() {
            return None;
        }
        // SAFETY: the contract gives a static, NUL-terminated string.
        #[expect(unsafe_code, reason = "text of a plugin")]
        let text = unsafe { CStr::from_ptr(text) };
        Some(text.to_string_lossy().into_owned())
    }

    /// Makes an instance. `config` is `None` only where the conformance checks pass NULL. Blocks for
    /// as long as the plugin likes.
    pub(crate) fn create(
        &self,
        host: &'static abi::Host,
        op: abi::Op,
        config: Option<&[u8]>,
    ) -> Result<Handle, Status> {
        let mut out = ptr::null_mut();
        // SAFETY: `host` lives for ever, `config` and `out` for the call, `op` is new.
        #[expect(unsafe_code, reason = "call into a plugin")]
        let status =
            unsafe { (self.create)(host, op, config.map_or(abi::Str::NONE, borrow), &raw mut out) };
        match Status::from_raw(status) {
            // An instance may be NULL: some plugins have nothing to remember.
            Status::Ok => Ok(Handle(out)),
            status => Err(status),
        }
    }

    /// Starts, or performs, an open. Blocks for as long as the plugin likes.
    pub(crate) fn open(&self, instance: Handle, op: abi::Op, target: &str) {
        // SAFETY: the instance came from `create` and is not destroyed before every call came back;
        // `target` lives for the call.
        #[expect(unsafe_code, reason = "call into a plugin")]
        unsafe {
            (self.open)(instance.0, op, abi::Str::borrow(target));
        }
    }

    /// Asks for the end of an open.
    pub(crate) fn cancel(&self, instance: Handle, op: abi::Op) {
        // SAFETY: as for `open`; the contract allows an op that is long answered.
        #[expect(unsafe_code, reason = "call into a plugin")]
        unsafe {
            (self.cancel)(instance.0, op);
        }
    }

    /// Ends the instance. Blocks for as long as the plugin likes.
    pub(crate) fn destroy(&self, instance: Handle) {
        // SAFETY: called once, after every other call came back.
        #[expect(unsafe_code, reason = "call into a plugin")]
        unsafe {
            (self.destroy)(instance.0);
        }
    }
}

/// Bytes as the contract passes them.
pub(crate) fn borrow(bytes: &[u8]) -> abi::Str {
    abi::Str { ptr: bytes.as_ptr().cast(), len: bytes.len() }
}

/// Reads a descriptor no further than its size allows: the first fields never move, whatever the
/// contract's version.
fn check(descriptor: *const abi::Plugin) -> Result<&'static abi::Plugin, Defect> {
    if descriptor.is_null() {
        return Err(Defect::NoDescriptor);
    }
    if !descriptor.is_aligned() {
        return Err(Defect::Misaligned);
    }
    // SAFETY: the size is the first field of every descriptor of every version.
    #[expect(unsafe_code, reason = "first look at a plugin's descriptor")]
    let size = unsafe { (*descriptor).struct_size };
    let least = u32::try_from(size_of::<abi::Plugin>()).unwrap_or(u32::MAX);
    let too_short = Defect::Size { plugin: size, host: least, major: abi::ABI_MAJOR };
    if !abi::has!(abi::Plugin, abi_major, size) {
        return Err(too_short);
    }
    // SAFETY: the size says that the major is there.
    #[expect(unsafe_code, reason = "first look at a plugin's descriptor")]
    let major = unsafe { (*descriptor).abi_major };
    if major != abi::ABI_MAJOR {
        return Err(Defect::Major { plugin: major, host: abi::ABI_MAJOR });
    }
    if size < least {
        return Err(too_short);
    }
    // SAFETY: not NULL, aligned, static by the contract, and long enough for this version's fields.
    #[expect(unsafe_code, reason = "a plugin's descriptor")]
    let descriptor = unsafe { &*descriptor };
    if descriptor.min_host_minor > abi::ABI_MINOR {
        return Err(Defect::Minor {
            plugin: descriptor.min_host_minor,
            host: abi::ABI_MINOR,
            major: abi::ABI_MAJOR,
        });
    }
    Ok(descriptor)
}

/// Reads a descriptor's string, giving up where no sane one would go on.
fn text(start: *const c_char, field: &'static str) -> Result<String, Defect> {
    const LONGEST: usize = 1024;
    if start.is_null() {
        return Err(Defect::Missing(field));
    }
    let mut bytes = Vec::new();
    for offset in 0..=LONGEST {
        // SAFETY: the contract gives a NUL-terminated string, and no NUL was met so far.
        #[expect(unsafe_code, reason = "text of a plugin's descriptor")]
        let byte = unsafe { start.wrapping_add(offset).read() };
        if byte == 0 {
            return Ok(crate::text::bounded(&bytes, LONGEST));
        }
        bytes.push(byte.to_ne_bytes()[0]);
    }
    Err(Defect::Text(field))
}
