//! Converts between bytes and values: compact JSON, with fields in the order of the structs. An object with an unknown
//! `format` is refused before anything else in it is read, because a later version may have given the other fields
//! another meaning.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use weir_base::VERSION;
use weir_base::failure::{Failure, Result};
use weir_plan::ids::{Epoch, Generation};
use weir_plan::quote::quoted;

use super::content::{place, places};
use super::manifest::{MANIFEST_V2, Manifest, Need};
use super::protocol::{Acknowledged, Head, Mark};
use super::v1::MANIFEST_V1;
use super::{layout, v1};

impl Manifest {
    /// # Errors
    /// `Bug`, if the manifest can't be written as JSON.
    pub fn encode(&self) -> Result<Bytes> {
        let mut bytes = Vec::from(encode(self)?);
        // In place of the closing brace, append the checksum of everything before it.
        bytes.pop();
        let crc32 = crc32fast::hash(&bytes);
        bytes.extend_from_slice(CHECKSUM.as_bytes());
        bytes.extend_from_slice(format!("{crc32}}}").as_bytes());
        Ok(bytes.into())
    }

    /// Reads the manifest of `epoch`, which was stored under that number. `lineage` is the identity's lineage; the
    /// lineages that state actions began have names that start with it.
    ///
    /// # Errors
    /// `Config`, if this is not a manifest, or is one of a later version, or was copied here from another place.
    pub fn decode(epoch: Epoch, lineage: &str, bytes: &[u8]) -> Result<Self> {
        let path = layout::manifest(epoch);
        let manifest: Self = match begin(&path, &[MANIFEST_V1, MANIFEST_V2], bytes)? {
            MANIFEST_V1 => serde_json::from_slice(bytes).map(v1::in_todays_words).and_then(serde_json::from_value),
            _ => serde_json::from_slice(bytes),
        }
        .map_err(|e| broken(&path, MANIFEST_V2, &e))?;
        check_sum(&path, bytes)?;
        if manifest.epoch != epoch || manifest.lineage.split('.').next() != Some(lineage) {
            return Err(Failure::config(format!(
                "{path} holds epoch {} of lineage {}, and epoch {epoch} of lineage {lineage} should be there; it was \
                 copied from elsewhere",
                manifest.epoch, manifest.lineage
            )));
        }
        Ok(manifest)
    }

    /// The parts of the manifest that the protocol needs.
    #[must_use]
    pub fn head(&self) -> Head {
        let begun = Generation(self.lineage.split_once('.').and_then(|(_, begun)| begun.parse().ok()).unwrap_or(1));
        Head {
            epoch: self.epoch,
            kind: self.kind,
            generation: self.writer.generation,
            nonce: self.writer.nonce.as_str().into(),
            in_doubt: self.in_doubt,
            begun,
            writes: places(&self.sinks, &self.committables),
            acknowledged: self.acknowledged_by_lineage(begun),
        }
    }
}

impl Manifest {
    fn acknowledged_by_lineage(&self, begun: Generation) -> Vec<Acknowledged> {
        let of_this = self.acknowledged.iter().map(|of| (begun, of));
        let of_former = self.acknowledged_before.iter().map(|of| (of.begun, &of.acknowledged));
        let all = of_this.chain(of_former).map(|(begun, of)| Acknowledged {
            place: place(&of.sink, &of.id),
            begun,
            epoch: of.epoch,
            mark: Mark(of.mark),
        });
        all.collect()
    }
}

/// The end of a manifest: this text, the CRC-32 of all bytes before it, and a brace.
const CHECKSUM: &str = ",\"crc32\":";

/// Compares the checksum with the bytes. Manifests of older versions have no checksum.
fn check_sum(path: &str, bytes: &[u8]) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Sum {
        crc32: Option<u32>,
    }
    let sum: Sum = serde_json::from_slice(bytes).map_err(|e| damaged(path, &e.to_string()))?;
    let Some(written) = sum.crc32 else { return Ok(()) };
    let end = bytes.windows(CHECKSUM.len()).rposition(|window| window == CHECKSUM.as_bytes()).unwrap_or(bytes.len());
    match crc32fast::hash(&bytes[..end]) {
        found if found == written => Ok(()),
        found => Err(damaged(path, &format!("its checksum is {found}, and {written} was written"))),
    }
}

fn damaged(path: &str, how: &str) -> Failure {
    Failure::config(format!(
        "{path} is damaged, or was changed by hand: {how}; put the object back as it was written, from a copy or an \
         older version of it"
    ))
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|e| Failure::bug(format!("a checkpoint object can't be written as JSON: {e}")))
}

pub(super) fn decode<T: DeserializeOwned>(path: &str, expected: &'static str, bytes: &[u8]) -> Result<T> {
    begin(path, &[expected], bytes)?;
    serde_json::from_slice(bytes).map_err(|e| broken(path, expected, &e))
}

fn broken(path: &str, expected: &str, e: &serde_json::Error) -> Failure {
    damaged(path, &format!("{e} ({expected} should be there)"))
}

/// Returns the object's format if it is one of the `known` ones (the newest is the last of them) and the object needs
/// nothing else that this version does not know.
///
/// # Errors
/// `Config`, with the version of Weir that knows the format, or with the damage.
fn begin(path: &str, known: &[&'static str], bytes: &[u8]) -> Result<&'static str> {
    /// The fields that every version has in the same place.
    #[derive(serde::Deserialize)]
    struct Any {
        format: String,
        writer: Option<AnyWriter>,
        #[serde(default)]
        needs: Vec<Need>,
    }
    #[derive(serde::Deserialize)]
    struct AnyWriter {
        version: Option<String>,
    }
    let newest = known.last().copied().unwrap_or_default();
    let any: Any = serde_json::from_slice(bytes).map_err(|e| broken(path, newest, &e))?;
    let written_by = any
        .writer
        .and_then(|writer| writer.version)
        .map_or(String::new(), |version| format!(", {version}, or a later one"));
    let Some(format) = known.iter().find(|format| **format == any.format) else {
        return Err(Failure::config(format!(
            "{path} has format {}, and this is Weir {VERSION}, which reads {}; run the version that wrote \
             it{written_by}",
            any.format,
            known.join(" and ")
        )));
    };
    if !any.needs.is_empty() {
        let needs: Vec<_> =
            any.needs.iter().map(|need| format!("{} (Weir {})", quoted(&need.name), need.since)).collect();
        return Err(Failure::config(format!(
            "{path} has what this version of Weir, {VERSION}, does not know: {}; run the version that wrote \
             it{written_by}",
            needs.join(", ")
        )));
    }
    Ok(format)
}

#[cfg(test)]
mod tests;
