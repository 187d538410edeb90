//! Where records come from.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests play the clock and draw as they like"))]

pub mod kafka;
