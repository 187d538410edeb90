//! Binary columns: standard base64 (RFC 4648 §4) with its padding, without line breaks, and with unused bits zero. So
//! each value has exactly one spelling.

/// Appends the bytes that `text` encodes. If `text` is not valid, it may append some of them and returns false.
pub(super) fn decode_base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    if !text.len().is_multiple_of(4) {
        return false;
    }
    let padding = text.iter().rev().take(2).take_while(|&&b| b == b'=').count();
    let (full, last) = if padding == 0 { (text, &text[text.len()..]) } else { text.split_at(text.len() - 4) };
    for chunk in full.chunks_exact(4) {
        let Some(bits) = sextets(chunk) else { return false };
        out.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    let symbols = &last[..last.len() - padding];
    let Some(bits) = sextets(symbols) else { return false };
    match *symbols {
        [] => true,
        [_, _] if bits & 0b1111 == 0 => {
            out.push((bits >> 4) as u8);
            true
        }
        [_, _, _] if bits & 0b11 == 0 => {
            out.extend_from_slice(&((bits >> 2) as u16).to_be_bytes());
            true
        }
        _ => false,
    }
}

fn sextets(symbols: &[u8]) -> Option<u32> {
    symbols.iter().try_fold(0, |bits, &symbol| {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        Some(bits << 6 | u32::from(value))
    })
}
