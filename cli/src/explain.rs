//! `weir explain`: prints a document with its defaults.

use std::process::ExitCode;

use crate::document::{DocumentArgs, refuse, with_texts};
use crate::say;

pub fn explain(args: &DocumentArgs) -> ExitCode {
    match with_texts(args, weir_crds::explain) {
        Ok(explained) => {
            say::print(&explained);
            ExitCode::SUCCESS
        }
        Err(errors) => refuse(args, &errors),
    }
}
