//! A JSON document as Jackson reads it for Spark: names and texts may stand in single quotes, and what follows the
//! document is left out. The order of members and the text of numbers are kept.

use super::super::decimals;

/// Deeper documents are refused, since their reader recurses.
const DEPTH_MAX: usize = 128;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'t> {
    Null,
    Boolean(bool),
    /// A number as it is written.
    Number(&'t str),
    Text(String),
    Array(Vec<Json<'t>>),
    Object(Vec<(String, Json<'t>)>),
}

/// The first document of the text; `None` if it has none.
pub(super) fn parse(text: &str) -> Option<Json<'_>> {
    Reader { text, at: 0 }.value(0)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<Json<'t>> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            quote @ (b'"' | b'\'') => self.quoted(quote).map(Json::Text),
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                let words = [("null", Json::Null), ("true", Json::Boolean(true)), ("false", Json::Boolean(false))];
                let (word, value) = words.into_iter().find(|(word, _)| self.text[self.at..].starts_with(word))?;
                self.at += word.len();
                let is_whole = !self.text[self.at..].starts_with(|c: char| c.is_alphanumeric());
                is_whole.then_some(value)
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json<'t>> {
        self.at += 1;
        let mut members = Vec::new();
        if self.eat(b'}').is_some() {
            return Some(Json::Object(members));
        }
        loop {
            let quote = self.peek().filter(|quote| [b'"', b'\''].contains(quote))?;
            let name = self.quoted(quote)?;
            self.eat(b':')?;
            members.push((name, self.value(depth + 1)?));
            if self.eat(b',').is_none() {
                self.eat(b'}')?;
                return Some(Json::Object(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json<'t>> {
        self.at += 1;
        let mut items = Vec::new();
        if self.eat(b']').is_some() {
            return Some(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat(b',').is_none() {
                self.eat(b']')?;
                return Some(Json::Array(items));
            }
        }
    }

    fn number(&mut self) -> Option<Json<'t>> {
        let rest = &self.text[self.at..];
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut end = usize::from(rest.starts_with('-'));
        let whole = digits(&rest[end..]);
        if whole == 0 || whole > 1 && rest[end..].starts_with('0') {
            return None;
        }
        end += whole;
        if rest[end..].starts_with('.') {
            let fraction = digits(&rest[end + 1..]);
            end += 1 + (fraction > 0).then_some(fraction)?;
        }
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            let power = digits(&rest[end + 1 + sign..]);
            end += 1 + sign + (power > 0).then_some(power)?;
        }
        if rest[end..].starts_with(|c: char| c.is_alphanumeric()) {
            return None;
        }
        self.at += end;
        Some(Json::Number(&rest[..end]))
    }

    fn quoted(&mut self, quote: u8) -> Option<String> {
        self.at += 1;
        let mut value = String::new();
        loop {
            let rest = &self.text[self.at..];
            let end = rest.find(|c: char| c == char::from(quote) || c == '\\')?;
            value += &rest[..end];
            self.at += end + 1;
            if rest.as_bytes()[end] == quote {
                return Some(value);
            }
            let sign = self.text[self.at..].chars().next()?;
            self.at += sign.len_utf8();
            value.push(match sign {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\x08',
                'f' => '\x0C',
                'u' => self.code()?,
                '"' | '\'' | '\\' | '/' => sign,
                _ => return None,
            });
        }
    }

    /// The sign of `\uXXXX`, or of two of them.
    fn code(&mut self) -> Option<char> {
        let high = self.unit()?;
        if (0xD800..0xDC00).contains(&high) && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let low = self.unit()?;
            if (0xDC00..0xE000).contains(&low) {
                return char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00));
            }
            self.at = before;
        }
        Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

/// A number as Jackson writes it again: a whole number as it is, others as Java's text of the double.
pub(super) fn number(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return text.to_owned();
    }
    text.parse::<f64>().map_or_else(|_| text.to_owned(), decimals::text)
}

impl Json<'_> {
    /// Writes the value without spaces.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => *out += "null",
            Self::Boolean(value) => *out += if *value { "true" } else { "false" },
            Self::Number(text) => *out += &number(text),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    *out += if i > 0 { "," } else { "" };
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    *out += if i > 0 { "," } else { "" };
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// The value as a text: a text as it is, others as JSON.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => {
                let mut out = String::new();
                other.write(&mut out);
                out
            }
        }
    }
}

pub(super) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for sign in text.chars() {
        match sign {
            '"' => *out += "\\\"",
            '\\' => *out += "\\\\",
            '\n' => *out += "\\n",
            '\r' => *out += "\\r",
            '\t' => *out += "\\t",
            '\x08' => *out += "\\b",
            '\x0C' => *out += "\\f",
            control if control < ' ' => *out += &format!("\\u{:04X}", u32::from(control)),
            sign => out.push(sign),
        }
    }
    out.push('"');
}
