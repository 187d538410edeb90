//! Settings of jemalloc, and a call that makes it return freed memory. `weir-runtime` makes jemalloc the allocator of
//! every program that contains a runtime.
#![allow(unsafe_code)]

use std::ptr;

/// jemalloc reads these settings when the process starts. Freed pages go back to the system within a second, so what an
/// epoch used for a moment does not count against the memory limit for long.
// SAFETY: jemalloc declares this symbol as a pointer to a C string, and a slice of static bytes begins with such a
// pointer; nobody else defines the symbol.
#[unsafe(export_name = "malloc_conf")]
#[used]
static MALLOC_CONF: &[u8] = b"narenas:4,dirty_decay_ms:1000,muzzy_decay_ms:0,tcache_max:4096\0";

/// Purges all arenas: 4096 is `MALLCTL_ARENAS_ALL` of jemalloc.h.
const PURGE_ALL: &std::ffi::CStr = c"arena.4096.purge";

/// Gives freed memory back to the system at once. Otherwise the allocator keeps it for a while, and the kernel counts
/// it as used.
pub fn give_back() {
    // SAFETY: the name is a C string, and this control reads and writes nothing of ours. It may be called at any time
    // from any thread.
    unsafe {
        tikv_jemalloc_sys::mallctl(PURGE_ALL.as_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a control that fits into a `usize`: the status of the call and the value.
    fn asked(name: &std::ffi::CStr) -> (i32, usize) {
        let (mut value, mut length) = (0_usize, size_of::<usize>());
        let into = ptr::from_mut(&mut value).cast();
        // SAFETY: `value` has room for the `length` bytes that are written.
        let status = unsafe { tikv_jemalloc_sys::mallctl(name.as_ptr(), into, &raw mut length, ptr::null_mut(), 0) };
        (status, value)
    }

    #[test]
    fn the_settings_are_the_allocators() {
        assert_eq!(asked(c"opt.tcache_max"), (0, 4096));
    }
}
