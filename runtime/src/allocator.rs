//! The allocator of every program that has a runtime in it, its C code included. librdkafka allocates each message on
//! its own thread and a lane frees it on another: in glibc's allocator these two wait for each other, and a pipeline on
//! two free cores pays twice for it (docs/decisions/0011-allocator.md). Its settings are in `weir-base`.

// Unit tests of the parts go without it: under memcheck (tests/memcheck) they have valgrind's malloc in jemalloc's
// place, and their Rust code must call nothing else.
#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
