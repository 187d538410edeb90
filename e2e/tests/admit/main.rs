//! What a real API server makes of documents: right ones, wrong ones, changed ones, and those of several owners.
#![allow(clippy::unwrap_used)]

mod changes;
mod documents;
mod good_documents;
mod size;
mod subresources;
mod wrong_documents;
