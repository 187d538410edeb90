//! Key groups: the unit in which keyed state is cut for scale-out. Their number is pinned in the checkpoint's `identity`, and the hash is
//! part of the saved format (docs/formats/state-v1.md), so neither may ever change for a lineage.

use arrow::array::{Array, ArrayRef};
use xxhash_rust::xxh3::xxh3_64;

/// How many key groups a new lineage gets. A power of two well above any sensible number of pods.
pub const KEY_GROUPS: u16 = 128;

/// The name of the hash, as `identity` pins it.
pub const KEY_HASH: &str = "xxh3-64/v1";

/// The key group of each row of `keys`, in `0..KEY_GROUPS`.
///
/// The hash runs over each key's text form, as `arrow`'s display format gives it, in the order of the group columns: length as a
/// little-endian u32, then the bytes; a null is the length `u32::MAX` and nothing else. Without key columns everything is in group 0.
///
/// # Errors
/// If a column's type has no text form. Grouping by such a type was refused by validation.
pub fn key_groups(keys: &[ArrayRef], rows: usize) -> Result<Vec<u16>, arrow::error::ArrowError> {
    if keys.is_empty() {
        return Ok(vec![0; rows]);
    }
    let options = arrow::util::display::FormatOptions::default();
    let formatters =
        keys.iter().map(|k| arrow::util::display::ArrayFormatter::try_new(k.as_ref(), &options)).collect::<Result<Vec<_>, _>>()?;
    let mut bytes = Vec::new();
    let mut text = String::new();
    let mut groups = Vec::with_capacity(rows);
    for row in 0..rows {
        bytes.clear();
        for (key, formatter) in keys.iter().zip(&formatters) {
            if key.is_null(row) {
                bytes.extend_from_slice(&u32::MAX.to_le_bytes());
                continue;
            }
            text.clear();
            formatter.value(row).write(&mut text)?;
            let len = u32::try_from(text.len()).unwrap_or(u32::MAX - 1);
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        groups.push(u16::try_from(xxh3_64(&bytes) % u64::from(KEY_GROUPS)).unwrap_or(0));
    }
    Ok(groups)
}
