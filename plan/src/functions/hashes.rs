//! Hashes of bytes: `md5`, `sha1`, `sha2` and `crc32`. Texts are hashed as their bytes in UTF-8.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::Result;
use datafusion_expr::ScalarUDF;
use md5::{Digest as _, Md5};
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use super::simple::Takes::{Bytes, Int};
use super::simple::{Gives, bytes, of, simple};

const TEXT: Gives = |_| Ok(DataType::Utf8);

pub(super) fn all() -> Vec<ScalarUDF> {
    [
        simple("md5", &[&[Bytes]], TEXT, |args| hashed(args, |bytes| hex(&Md5::digest(bytes)))),
        simple("sha1", &[&[Bytes]], TEXT, |args| hashed(args, |bytes| hex(&sha1(bytes)))).also("sha"),
        simple("sha2", &[&[Bytes, Int]], TEXT, |args| {
            let (values, bits) = (bytes(args, 0)?, of::<Int32Type>(args, 1)?);
            let hash = |bytes: &[u8], bits: i32| match bits {
                224 => Some(hex(&Sha224::digest(bytes))),
                0 | 256 => Some(hex(&Sha256::digest(bytes))),
                384 => Some(hex(&Sha384::digest(bytes))),
                512 => Some(hex(&Sha512::digest(bytes))),
                _ => None,
            };
            Ok(Arc::new(values.iter().zip(bits).map(|(bytes, bits)| hash(bytes?, bits?)).collect::<StringArray>()))
        }),
        simple(
            "crc32",
            &[&[Bytes]],
            |_| Ok(DataType::Int64),
            |args| {
                let values = bytes(args, 0)?;
                let sum = |bytes: &[u8]| i64::from(crc32fast::hash(bytes));
                Ok(Arc::new(values.iter().map(|bytes| bytes.map(sum)).collect::<Int64Array>()))
            },
        ),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}

fn hashed(args: &[ArrayRef], hash: fn(&[u8]) -> String) -> Result<ArrayRef> {
    let values = bytes(args, 0)?;
    Ok(Arc::new(values.iter().map(|bytes| bytes.map(hash)).collect::<StringArray>()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// FIPS 180-4, section 6.1. The hash is broken for secrets, and is here because data has it as a key.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64) + if padded.len() % 64 > 56 { 64 } else { 0 }, 0);
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(bytes.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words = [0_u32; 80];
        for (word, four) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = four.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        for i in 16..80 {
            words[i] = (words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in words.iter().enumerate() {
            let (mixed, constant) = match i {
                0..20 => (b & c | !b & d, 0x5A82_7999),
                20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
                40..60 => (b & c | b & d | c & d, 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6_u32),
            };
            let next = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut hash = [0; 20];
    for (four, word) in hash.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_be_bytes());
    }
    hash
}
