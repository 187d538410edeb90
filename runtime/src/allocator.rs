//! The allocator of every program that contains the runtime, for C code too. librdkafka allocates each message on its
//! own thread and a lane frees it on another. In glibc's allocator these two threads wait for each other, and a
//! pipeline on two free cores pays twice for it (docs/decisions/0011-allocator.md). `weir-base` has the allocator's
//! settings.

// Unit tests go without it. Under memcheck (tests/memcheck) valgrind replaces jemalloc's malloc by its own, and their
// Rust code must call nothing else.
#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
