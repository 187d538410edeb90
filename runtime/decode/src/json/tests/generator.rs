//! Random schemas, records that mostly fit them, and random damage to records.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use weir_plan::types::{Column, DataType};

const NAMES: [&str; 14] = [
    "a",
    "b",
    "city",
    "City",
    "rideId",
    "a b",
    "é",
    "東京",
    "q\"uote",
    "back\\slash",
    "line\n",
    "",
    "averylongnameindeed",
    "\u{1}",
];

pub fn columns(rng: &mut StdRng, depth: usize) -> Vec<Column> {
    let mut names = NAMES;
    names.shuffle(rng);
    let count = rng.random_range(0..=6);
    names[..count]
        .iter()
        .map(|name| Column { name: (*name).into(), data_type: data_type(rng, depth), nullable: rng.random_bool(0.7) })
        .collect()
}

fn data_type(rng: &mut StdRng, depth: usize) -> DataType {
    match rng.random_range(0..if depth == 0 { 10 } else { 15 }) {
        0 => DataType::Boolean,
        1 => DataType::Int,
        2 => DataType::Bigint,
        3 => DataType::Float,
        4 => DataType::Double,
        5 => {
            let precision = *[1, 5, 10, 18, 19, 20, 38].choose(rng).unwrap();
            DataType::Decimal { precision, scale: rng.random_range(0..=precision) as i8 }
        }
        6 => DataType::String,
        7 => DataType::Binary,
        8 => DataType::Date,
        9 => DataType::Timestamp,
        10 | 11 => DataType::Struct(columns(rng, depth - 1)),
        12 | 13 => DataType::Map(Box::new(DataType::String), Box::new(data_type(rng, depth - 1))),
        _ => DataType::Array(Box::new(data_type(rng, depth - 1))),
    }
}

/// An object for these columns: mostly right, in any order, with a few fields missing, doubled or unknown.
pub fn object(rng: &mut StdRng, columns: &[Column]) -> String {
    let mut fields = Vec::new();
    for column in columns {
        let times = match rng.random_range(0..40) {
            0 => 0,
            1 => 2,
            2 if column.nullable => 0,
            _ => 1,
        };
        for _ in 0..times {
            let value =
                if column.nullable && rng.random_bool(0.1) { "null".into() } else { value(rng, &column.data_type) };
            fields.push(format!("{}{}:{}{value}", name(rng, &column.name), space(rng), space(rng)));
        }
    }
    if rng.random_bool(0.3) {
        let unknown = *["x", "rideid", "A", "zz\u{7f}"].choose(rng).unwrap();
        fields.push(format!("{}:{}", name(rng, unknown), any(rng, 3)));
    }
    if rng.random_bool(0.4) {
        fields.shuffle(rng);
    }
    let separator = format!("{},{}", space(rng), space(rng));
    format!("{}{{{}{}{}}}{}", space(rng), space(rng), fields.join(&separator), space(rng), space(rng))
}

fn space(rng: &mut StdRng) -> &'static str {
    if rng.random_bool(0.8) { "" } else { [" ", "\n", "\t\r\n", "  "].choose(rng).unwrap() }
}

fn name(rng: &mut StdRng, name: &str) -> String {
    if rng.random_bool(0.9) { serde_json::to_string(name).unwrap() } else { quoted(rng, name) }
}

fn value(rng: &mut StdRng, data_type: &DataType) -> String {
    if rng.random_bool(0.01) {
        return any(rng, 2);
    }
    match data_type {
        DataType::Boolean => rng.random::<bool>().to_string(),
        DataType::Int | DataType::Bigint => integer(rng),
        DataType::Float | DataType::Double => number(rng),
        DataType::Decimal { precision, scale } => {
            let number = if rng.random_bool(0.1) {
                number(rng)
            } else {
                decimal(rng, (*precision).into(), scale.unsigned_abs().into())
            };
            if rng.random() { number } else { quoted(rng, &number) }
        }
        DataType::String => {
            let text = text(rng);
            quoted(rng, &text)
        }
        DataType::Binary => {
            let symbols: String =
                (0..rng.random_range(0..4) * 4).map(|_| char::from(*b"AZaz09+/".choose(rng).unwrap())).collect();
            let end = *["", "", "AA==", "Zm8=", "Zg=="].choose(rng).unwrap();
            quoted(rng, &(symbols + end))
        }
        DataType::Date => quoted_with_errors(rng, date),
        DataType::Timestamp => {
            if rng.random_bool(0.05) {
                return rng.random_range(-70_000_000_000_000..300_000_000_000_000_i64).to_string();
            }
            quoted_with_errors(rng, |rng| {
                let (hour, minute, second) =
                    (rng.random_range(0..24), rng.random_range(0..60), rng.random_range(0..60));
                format!(
                    "{}{}{hour:02}:{minute:02}:{second:02}{}",
                    date(rng),
                    ["T", " "].choose(rng).unwrap(),
                    fraction_and_zone(rng)
                )
            })
        }
        DataType::Array(element) => {
            let elements: Vec<_> = (0..rng.random_range(0..4))
                .map(|_| {
                    if rng.random_bool(0.1) { "null".into() } else { format!("{}{}", space(rng), value(rng, element)) }
                })
                .collect();
            format!("[{}{}]", elements.join(","), space(rng))
        }
        DataType::Struct(columns) => object(rng, columns).trim().to_owned(),
        DataType::Map(_, of) => {
            // So many at times that keys are compared in another way.
            let count = if rng.random_bool(0.05) { rng.random_range(15..20) } else { rng.random_range(0..4) };
            let entries: Vec<_> = (0..count)
                .map(|i| {
                    let key = if rng.random_bool(0.02) { "a".to_owned() } else { format!("{}{i}", text(rng)) };
                    let value = if rng.random_bool(0.1) { "null".into() } else { value(rng, of) };
                    format!("{}{}:{}{value}", space(rng), name(rng, &key), space(rng))
                })
                .collect();
            format!("{{{}{}}}", entries.join(","), space(rng))
        }
    }
}

fn quoted_with_errors(rng: &mut StdRng, make: impl Fn(&mut StdRng) -> String) -> String {
    let mut text = make(rng);
    if rng.random_bool(0.03) {
        text = mutate_text(rng, text);
    }
    quoted(rng, &text)
}

fn date(rng: &mut StdRng) -> String {
    let year = if rng.random_bool(0.05) { *[0, 1, 9999].choose(rng).unwrap() } else { rng.random_range(1900..2100) };
    let day = if rng.random_bool(0.9) { rng.random_range(1..=28) } else { rng.random_range(28..=31) };
    format!("{year:04}-{:02}-{day:02}", rng.random_range(1..=12))
}

pub fn fraction_and_zone(rng: &mut StdRng) -> String {
    let digits = if rng.random_bool(0.4) { 0 } else { rng.random_range(1..=9) };
    let fraction: String = (0..digits).map(|_| rng.random_range('0'..='9')).collect();
    let point = if digits > 0 { "." } else { "" };
    let (sign, hours, minutes) = (["+", "-"].choose(rng).unwrap(), rng.random_range(0..24), rng.random_range(0..60));
    let zone = match rng.random_range(0..6) {
        0 => format!("{sign}{hours:02}:{minutes:02}"),
        1 => format!("{sign}{hours:02}{minutes:02}"),
        2 => format!("{sign}{hours:02}"),
        3 => String::new(),
        _ => "Z".into(),
    };
    format!("{point}{fraction}{zone}")
}

fn integer(rng: &mut StdRng) -> String {
    match rng.random_range(0..20) {
        0 => (*["0", "-0", "2147483647", "2147483648", "-2147483648", "9223372036854775807", "-9223372036854775808"]
            .choose(rng)
            .unwrap())
        .into(),
        1 => (*["9223372036854775808", "18446744073709551616", "1.0", "1e3", "10000000000000000000000"]
            .choose(rng)
            .unwrap())
        .into(),
        2 => (rng.random::<i64>() >> rng.random_range(0..64)).to_string(),
        _ => rng.random_range(-100_000..2_000_000).to_string(),
    }
}

/// A random JSON number: short prices, long digits, large exponents.
pub fn number(rng: &mut StdRng) -> String {
    let digits =
        |rng: &mut StdRng, max| (0..rng.random_range(1..=max)).map(|_| rng.random_range('0'..='9')).collect::<String>();
    let long = if rng.random_bool(0.2) { 25 } else { 8 };
    let mut text = String::from(if rng.random_bool(0.3) { "-" } else { "" });
    let whole = digits(rng, long);
    let whole = whole.trim_start_matches('0');
    text += if whole.is_empty() { "0" } else { whole };
    if rng.random_bool(0.6) {
        text = text + "." + &digits(rng, long);
    }
    if rng.random_bool(0.3) {
        let span = if rng.random_bool(0.2) { 400 } else { 30 };
        let exponent = rng.random_range(-span..=span);
        text = text
            + ["e", "E"].choose(rng).unwrap()
            + if exponent >= 0 && rng.random() { "+" } else { "" }
            + &exponent.to_string();
    }
    text
}

/// A number that fits the column or has a digit too many.
fn decimal(rng: &mut StdRng, precision: usize, scale: usize) -> String {
    let miss = usize::from(rng.random_bool(0.03));
    let whole: String = (0..precision - scale + miss).map(|_| rng.random_range('0'..='9')).collect();
    let whole = whole.trim_start_matches('0');
    let fraction: String =
        (0..scale + usize::from(rng.random_bool(0.03))).map(|_| rng.random_range('0'..='9')).collect();
    let sign = if rng.random_bool(0.3) { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", if whole.is_empty() { "0" } else { whole })
}

fn text(rng: &mut StdRng) -> String {
    const CHARS: [char; 16] =
        ['a', 'b', 'Z', ' ', '"', '\\', '/', '\n', '\t', '\u{0}', '\u{1f}', '\u{7f}', 'é', '東', '🚲', '\u{ffff}'];
    let plain = rng.random_bool(0.5);
    (0..rng.random_range(0..24))
        .map(|_| if plain { rng.random_range('a'..='z') } else { *CHARS.choose(rng).unwrap() })
        .collect()
}

/// The text as a JSON string, with some characters escaped without need.
fn quoted(rng: &mut StdRng, text: &str) -> String {
    let escape = if rng.random_bool(0.7) { 0.0 } else { 0.3 };
    let mut json = String::from("\"");
    for c in text.chars() {
        if rng.random_bool(escape) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                json += &if rng.random() { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
            }
        } else {
            let plain = serde_json::to_string(&c).unwrap();
            json += &plain[1..plain.len() - 1];
        }
    }
    json + "\""
}

/// A random JSON value of any kind.
fn any(rng: &mut StdRng, depth: usize) -> String {
    match rng.random_range(0..if depth == 0 { 6 } else { 8 }) {
        0 => "null".into(),
        1 => rng.random::<bool>().to_string(),
        2 => integer(rng),
        3 => number(rng),
        4 | 5 => {
            let text = text(rng);
            quoted(rng, &text)
        }
        6 => {
            let elements: Vec<_> = (0..rng.random_range(0..4)).map(|_| any(rng, depth - 1)).collect();
            format!("[{}]", elements.join(","))
        }
        _ => {
            let fields: Vec<_> =
                (0..rng.random_range(0..4)).map(|_| format!("{}:{}", name(rng, "k"), any(rng, depth - 1))).collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}

/// Damages a record: one to three relevant bytes are changed, dropped, doubled or inserted, or the record is cut off.
pub fn mutate(rng: &mut StdRng, mut record: Vec<u8>) -> Vec<u8> {
    const BYTES: [u8; 28] = *b"{}[]\",:\\ \n019-+.eEtnuZT/=\x00\x80\xe9";
    for _ in 0..rng.random_range(1..=3) {
        let at = rng.random_range(0..=record.len());
        let byte = if rng.random_bool(0.9) { *BYTES.choose(rng).unwrap() } else { rng.random() };
        match rng.random_range(0..6) {
            0 => record.insert(at, byte),
            1 | 2 if at < record.len() => record[at] = byte,
            3 if at < record.len() => drop(record.remove(at)),
            4 => {
                let end = (at + rng.random_range(1..8)).min(record.len());
                record.splice(at..at, record[at..end].to_vec());
            }
            5 if rng.random_bool(0.3) => record.truncate(at),
            _ => {}
        }
    }
    record
}

pub fn mutate_text(rng: &mut StdRng, text: String) -> String {
    String::from_utf8_lossy(&mutate(rng, text.into_bytes())).into_owned()
}
