//! A real API server's answers to documents: valid, wrong and changed ones, and those of several owners.
#![allow(clippy::unwrap_used)]

mod changes;
mod documents;
mod good_documents;
mod size;
mod subresources;
mod wrong_documents;
