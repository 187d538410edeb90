//! A stack that is large enough for the planner's recursion.

use std::thread::{Builder, scope};

use super::ExprError;
use crate::panics;

/// Bytes of the planner's stack. An unoptimised build of the parser and the planner takes up to 100 KiB per level of an
/// expression, and it must hold [`super::parse::DEPTH_MAX`] levels, or the parser's own limit of 50 nested ones. This
/// is address space: only the part that is used takes memory.
pub(super) const STACK_BYTES: usize = 32 * 1024 * 1024;

/// Runs `plan` on a thread with a stack of known size, whatever the caller's is. This takes about 50 µs. If the planner
/// panics, the expression is refused: a user's text must not end a process that has other work.
pub(crate) fn with_room<T: Send>(plan: impl FnOnce() -> T + Send) -> Result<T, ExprError> {
    scope(|threads| {
        let planner = Builder::new().name("plan".to_owned()).stack_size(STACK_BYTES).spawn_scoped(threads, plan);
        let planner = planner.map_err(|e| ExprError(format!("there is no thread to plan the expression on: {e}")))?;
        planner.join().map_err(|panic| {
            ExprError(format!("the planner could not read this ({}): write it in another way", panics::said(&*panic)))
        })
    })
}
