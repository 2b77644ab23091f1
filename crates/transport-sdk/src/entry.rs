//! The entries of the descriptor, for any transport.

#![expect(unsafe_code, reason = "the border of the contract: pointers from the host")]

use std::ptr::NonNull;
use std::sync::Arc;

use pgferry_transport_abi as abi;
use pgferry_transport_abi::{ABI_MAJOR, Op, Status, Str, has};

use crate::border::Border;
use crate::instance::Instance;
use crate::panics::caught;
use crate::{Error, Transport};

/// # Safety
///
/// As the contract's `create`: `table` stays valid until `destroy` returned, or this with an error.
pub(crate) unsafe extern "C" fn create<T: Transport>(
    table: *const abi::Host,
    op: Op,
    config: Str,
    out: *mut *mut abi::Instance,
) -> Status {
    // SAFETY: the caller's promise.
    let Some(border) = (unsafe { checked(table) }).filter(|_| !out.is_null()) else {
        return Status::UNSUPPORTED;
    };
    // SAFETY: borrowed for this call.
    let config = unsafe { config.bytes() };
    match caught(|| Instance::<T>::create(Arc::clone(&border), op, config)) {
        Ok(instance) => {
            // SAFETY: not NULL, and the host made room for a pointer.
            unsafe { out.write(Box::into_raw(Box::new(instance)).cast()) };
            Status::OK
        }
        Err(error) => {
            border.op_done(op, Err(&error), &error.detail());
            border.close();
            error.status()
        }
    }
}

/// # Safety
///
/// As the contract's `open`: an instance that `create` made and `destroy` didn't end.
pub(crate) unsafe extern "C" fn open<T: Transport>(
    instance: *mut abi::Instance,
    op: Op,
    target: Str,
) {
    // SAFETY: the caller's promise.
    let instance = unsafe { &*instance.cast::<Instance<T>>() };
    // SAFETY: borrowed for this call.
    let target = unsafe { target.bytes() };
    contained(|| instance.open(op, target));
}

/// # Safety
///
/// As the contract's `cancel`: an instance that `create` made and `destroy` didn't end.
pub(crate) unsafe extern "C" fn cancel<T: Transport>(instance: *mut abi::Instance, op: Op) {
    // SAFETY: the caller's promise.
    let instance = unsafe { &*instance.cast::<Instance<T>>() };
    contained(|| instance.cancel(op));
}

/// # Safety
///
/// As the contract's `destroy`: an instance that `create` made, for the last time.
pub(crate) unsafe extern "C" fn destroy<T: Transport>(instance: *mut abi::Instance) {
    // SAFETY: the box that `create` made, given back once.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance<T>>()) };
    contained(|| instance.destroy());
}

/// # Safety
///
/// `table` is NULL or points at a host's table that stays valid until the border is closed.
unsafe fn checked(table: *const abi::Host) -> Option<Arc<Border>> {
    let table = NonNull::new(table.cast_mut())?;
    // SAFETY: every table starts with its size.
    let size = unsafe { (*table.as_ptr()).struct_size };
    // SAFETY: and its version behind it.
    let major = unsafe { (*table.as_ptr()).abi_major };
    if major != ABI_MAJOR || !has!(abi::Host, metric_record, size) {
        return None;
    }
    // SAFETY: major 1 and long enough; the caller promises the rest.
    Some(Arc::new(unsafe { Border::new(table) }))
}

/// Runs an entry that has no status to give: ops answer for themselves, and `create` told the rest.
fn contained(f: impl FnOnce()) {
    let outcome = caught(|| {
        f();
        Ok::<(), Error>(())
    });
    if let Err(error) = outcome {
        tracing::error!("{error}");
    }
}
