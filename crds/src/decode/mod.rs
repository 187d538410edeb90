//! Decodes YAML text to a document, and reports all errors at once.
//!
//! serde stops at the first error. Therefore each error is recorded, its place is marked as broken, and decoding starts
//! again: a broken place yields a stand-in of the requested type. The stand-ins never leave this crate; `lower` is told
//! where they are.

mod cut;
mod depth;
mod deserializer;
pub(crate) mod events;
mod short;
mod syntax;
mod yaml;

use serde::Deserialize;
use serde_yaml::Value;
use weir_plan::quote::quoted;

use crate::document::{API_VERSION, KIND, StreamPipeline};
use crate::finding::{Broken, FINDINGS_MAX, Finding, Path};
use deserializer::{At, Place};

pub(crate) use cut::LINE_BYTES_MAX;
pub(crate) use syntax::cut_by_comments;
pub(crate) use yaml::{BYTE_ORDER_MARK, anchored, parse_yaml, read_yaml};

/// The result of decoding: the document, unless it is wrong as a whole, and all errors.
pub(crate) struct Decoded {
    pub(crate) document: Option<StreamPipeline>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) broken: Vec<Broken>,
}

/// Decodes a document without the fields that `refused` gives, each with its finding. `texts` are what it was read
/// from.
pub(crate) fn decode(value: &Value, texts: &[&str], refused: impl FnOnce(&Value) -> Vec<(Finding, Broken)>) -> Decoded {
    match cut::mended(value, texts) {
        None => decode_whole(value, refused(value)),
        Some((mended, mut findings)) => {
            let decoded = decode_whole(&mended, refused(&mended));
            findings.extend(decoded.findings);
            Decoded { findings, ..decoded }
        }
    }
}

fn decode_whole(value: &Value, refused: Vec<(Finding, Broken)>) -> Decoded {
    let (mut findings, mut broken): (Vec<_>, Vec<_>) = refused.into_iter().take(FINDINGS_MAX).unzip();
    let document = loop {
        let place = Place::root(value, &broken);
        match StreamPipeline::deserialize(At(place)) {
            Ok(document) => break Some(document),
            Err(error) => {
                let (found, place) = error.into_finding();
                // A stand-in for this place did not help, so the document is wrong as a whole.
                if broken.contains(&place) || findings.len() >= FINDINGS_MAX {
                    break None;
                }
                findings.push(found);
                broken.push(place);
            }
        }
    };
    findings.extend(document.iter().flat_map(|d| check_header(d, &broken)));
    Decoded { document, findings, broken }
}

fn check_header(document: &StreamPipeline, broken: &[Broken]) -> Vec<Finding> {
    let expected = [("apiVersion", &document.api_version, API_VERSION), ("kind", &document.kind, KIND)];
    expected
        .into_iter()
        .map(|(field, found, right)| (Path::root().field(field), found, right))
        .filter(|(path, found, right)| found != right && !broken.iter().any(|b| b.path == *path))
        .map(|(path, found, right)| {
            Finding::new(&path, format!("found {}; this version reads {}", quoted(found), quoted(right)))
        })
        .collect()
}
