//! What a chunk claims of its size before it was compressed. Arrow allocates what a buffer claims before it
//! decompresses it, and an allocation that fails ends the process without a word. A right checksum does not prove that
//! Weir has written the claim.

use arrow::ipc::{CompressionType, RecordBatch, root_as_message};

/// LZ4 makes at most this many bytes of one.
const GROWTH_MAX: u64 = 255;
/// Bytes before the compressed ones of a buffer: how many they were, as an i64. -1 means that they are not compressed.
const CLAIM_BYTES: usize = 8;
/// In front of a message's length.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Checks that no buffer of a chunk claims more than it could decompress to. A chunk consists of whole messages.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(chunk: &[u8]) -> Result<(), String> {
    let mut rest = chunk;
    while !rest.is_empty() {
        rest = check_message(rest)?;
    }
    Ok(())
}

/// Checks the first message and returns what follows it.
fn check_message(bytes: &[u8]) -> Result<&[u8], String> {
    let (mut length, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(cut_off)?;
    if *length == CONTINUATION {
        (length, rest) = rest.split_first_chunk().ok_or_else(cut_off)?;
    }
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|e| e.to_string())?;
    if length == 0 {
        return Ok(rest); // the end of the stream
    }
    let (header, rest) = rest.split_at_checked(length).ok_or_else(cut_off)?;
    let message = root_as_message(header).map_err(|e| e.to_string())?;
    let length = usize::try_from(message.bodyLength()).map_err(|e| e.to_string())?;
    let (body, rest) = rest.split_at_checked(length).ok_or_else(cut_off)?;
    let of_dictionary = message.header_as_dictionary_batch().and_then(|batch| batch.data());
    for batch in message.header_as_record_batch().into_iter().chain(of_dictionary) {
        check_batch(batch, body)?;
    }
    Ok(rest)
}

fn check_batch(batch: RecordBatch<'_>, body: &[u8]) -> Result<(), String> {
    let Some(compression) = batch.compression() else { return Ok(()) };
    if compression.codec() != CompressionType::LZ4_FRAME {
        return Err("it is compressed by another method than LZ4".to_owned());
    }
    for buffer in batch.buffers().into_iter().flatten() {
        let place = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let found = place.and_then(|(offset, length)| body.get(offset..)?.get(..length)).ok_or_else(cut_off)?;
        let Some((claim, compressed)) = found.split_first_chunk::<CLAIM_BYTES>() else { continue };
        let claimed = i64::from_le_bytes(*claim);
        if u64::try_from(claimed).is_ok_and(|claimed| claimed > GROWTH_MAX * compressed.len() as u64) {
            return Err(format!("{} bytes claim to have been {claimed} before compression", compressed.len()));
        }
    }
    Ok(())
}

fn cut_off() -> String {
    "it ends within a message".to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

    use super::*;

    /// A stream with one batch of equal numbers, and the place of the claim of the numbers' buffer.
    fn stream(compression: CompressionType) -> (Vec<u8>, usize) {
        const NUMBERS: usize = 100_000;
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7; NUMBERS]));
        let batch = arrow::array::RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let options = IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap();
        let mut stream = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        stream.write(&batch).unwrap();
        stream.finish().unwrap();
        let bytes = stream.into_inner().unwrap();
        let claim = (NUMBERS as u64 * 8).to_le_bytes();
        let place = bytes.windows(CLAIM_BYTES).position(|window| window == claim).unwrap();
        (bytes, place)
    }

    #[test]
    fn a_claim_beyond_what_lz4_can_give_is_refused_and_the_best_compressed_numbers_are_not() {
        let (mut bytes, place) = stream(CompressionType::LZ4_FRAME);
        assert_eq!(check(&bytes), Ok(()));
        bytes[place..place + CLAIM_BYTES].copy_from_slice(&(1_i64 << 61).to_le_bytes());
        let refused = check(&bytes).unwrap_err();
        assert!(refused.ends_with("claim to have been 2305843009213693952 before compression"), "{refused}");
    }

    #[test]
    fn another_compression_and_a_message_that_is_cut_off_are_refused() {
        let (bytes, _) = stream(CompressionType::ZSTD);
        assert_eq!(check(&bytes), Err("it is compressed by another method than LZ4".to_owned()));
        let (bytes, _) = stream(CompressionType::LZ4_FRAME);
        for length in [1, 5, 100, bytes.len() - 20] {
            assert_eq!(check(&bytes[..length]), Err(cut_off()), "{length}");
        }
    }
}
