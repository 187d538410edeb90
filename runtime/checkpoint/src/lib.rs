//! The checkpoint: who may write, what is decided, and where to go on.
//!
//! `protocol` decides (pure), and `writer` acts. `content` is what the writer's owner puts into manifests, and `sinks`
//! is what the writer asks of the sinks. `store` is the edge to the object store, `gc` says what may be deleted, and
//! `layout` names the objects. `manifest` and `identity` are the objects' contents, `home` says who may go on from
//! them, and `removal` deletes everything. `simulation` tries the protocol against every schedule that we could think
//! of.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests play the clock and draw as they like"))]

mod codec;
pub mod collection;
pub mod content;
mod continuity;
mod gc;
pub mod home;
mod identity;
pub mod layout;
pub mod manifest;
pub mod protocol;
pub mod removal;
pub mod sinks;
pub mod state_files;
pub mod store;
mod v1;
pub mod writer;

mod driver;
mod messages;

#[cfg(test)]
mod simulation;
