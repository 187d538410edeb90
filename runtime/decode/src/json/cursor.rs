//! A strict reader of JSON text (RFC 8259). It hands out tokens in place, without copies, and skips ignored fields by
//! the same rules. We wrote our own because jiter without big integers refuses 19-digit ones (`i64::MAX`), cuts numbers
//! at 4300 digits, does not check that skipped strings are UTF-8, and was a third slower. `tests/fuzz.rs` compares ours
//! with serde_json.

use super::number::{self, Number};
use super::text::{self, Text};
use crate::error::{Fault, Parsed};

/// How deep objects and arrays may be nested, counting the record's own object, and in ignored fields as well.
/// serde_json has the same limit.
pub(super) const DEPTH_MAX: usize = 128;

/// A place in a record's text.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Takes text, not bytes: the caller has checked once that the whole record is UTF-8.
    pub(super) fn new(record: &'a str) -> Self {
        Self { bytes: record.as_bytes(), at: 0 }
    }

    /// The cursor's place, for [`Self::go_back`].
    #[inline]
    pub(super) fn place(&self) -> usize {
        self.at
    }

    pub(super) fn go_back(&mut self, place: usize) {
        self.at = place;
    }

    /// The next byte that is not whitespace; the cursor stays before it. `None` at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes the byte that `peek` returned.
    #[inline]
    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    /// Takes `token` if exactly these bytes come next.
    #[inline]
    pub(super) fn eat(&mut self, token: &[u8]) -> bool {
        let comes = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(token));
        if comes {
            self.at += token.len();
        }
        comes
    }

    /// Takes the string that starts here; the cursor stands at its opening quote.
    #[inline]
    pub(super) fn string(&mut self) -> Parsed<Text<'a>> {
        match text::scan(self.bytes, self.at) {
            Ok((text, end)) => {
                self.at = end;
                Ok(text)
            }
            Err((at, why)) => Err(Fault::new(format!("byte {at}: {why}"))),
        }
    }

    /// Takes the number that starts here; the cursor stands at a minus or a digit.
    #[inline]
    pub(super) fn number(&mut self) -> Parsed<Number<'a>> {
        match number::scan(self.bytes, self.at) {
            Ok(number) => {
                self.at += number.text.len();
                Ok(number)
            }
            Err(at) => {
                self.at = at;
                Err(self.unexpected("a digit of a number"))
            }
        }
    }

    #[inline]
    pub(super) fn null(&mut self) -> Parsed<()> {
        if self.eat(b"null") { Ok(()) } else { Err(self.unexpected("a JSON value")) }
    }

    /// Takes `true` or `false`.
    #[inline]
    pub(super) fn boolean(&mut self) -> Parsed<bool> {
        if self.eat(b"true") {
            Ok(true)
        } else if self.eat(b"false") {
            Ok(false)
        } else {
            Err(self.unexpected("a JSON value"))
        }
    }

    #[inline]
    pub(super) fn colon(&mut self) -> Parsed<()> {
        if let Some(b':') = self.peek() {
            self.bump();
            return Ok(());
        }
        Err(self.unexpected("':' after a field's name"))
    }

    /// Enters the object whose opening brace comes next. True: the cursor stands at the quote of the first name. False:
    /// the object was empty, and the cursor is behind it.
    #[inline]
    pub(super) fn object_starts(&mut self) -> Parsed<bool> {
        self.bump();
        match self.peek() {
            Some(b'"') => Ok(true),
            Some(b'}') => {
                self.bump();
                Ok(false)
            }
            _ => Err(self.unexpected("a field's name in quotes, or '}'")),
        }
    }

    /// Goes on after a field's value. True: the cursor stands at the quote of the next name. False: the object has
    /// ended.
    #[inline]
    pub(super) fn object_goes_on(&mut self) -> Parsed<bool> {
        match self.peek() {
            Some(b',') => {
                self.bump();
                if let Some(b'"') = self.peek() { Ok(true) } else { Err(self.unexpected("a field's name in quotes")) }
            }
            Some(b'}') => {
                self.bump();
                Ok(false)
            }
            _ => Err(self.unexpected("',' or '}'")),
        }
    }

    /// Enters the array whose opening bracket comes next. False: the array was empty, and the cursor is behind it.
    #[inline]
    pub(super) fn array_starts(&mut self) -> bool {
        self.bump();
        let empty = self.peek() == Some(b']');
        if empty {
            self.bump();
        }
        !empty
    }

    /// Goes on after an element. False: the array has ended.
    #[inline]
    pub(super) fn array_goes_on(&mut self) -> Parsed<bool> {
        match self.peek() {
            Some(b',') => {
                self.bump();
                Ok(true)
            }
            Some(b']') => {
                self.bump();
                Ok(false)
            }
            _ => Err(self.unexpected("',' or ']'")),
        }
    }

    /// Fails if anything but whitespace follows.
    pub(super) fn end(&mut self) -> Parsed<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the record: it holds one object")),
        }
    }

    /// Takes a value that no column wants, of any kind, and checks every rule on the way; `depth` objects and arrays
    /// are open around it. It does not recurse, so a record full of brackets costs no stack.
    pub(super) fn skip(&mut self, depth: usize) -> Parsed<()> {
        // One bit per open container, the innermost in the lowest bit; 1 means an object. A u128 has room for DEPTH_MAX
        // of them.
        let mut is_object: u128 = 0;
        let mut open = 0;
        loop {
            let entered = match self.peek() {
                Some(b'"') => self.string().map(|_| false)?,
                Some(b'-' | b'0'..=b'9') => self.number().map(|_| false)?,
                Some(b't' | b'f') => self.boolean().map(|_| false)?,
                Some(b'n') => self.null().map(|()| false)?,
                Some(b'{') => {
                    check_depth(depth + open)?;
                    let entered = self.object_starts()?;
                    if entered {
                        is_object = is_object << 1 | 1;
                        self.name_of_ignored()?;
                    }
                    entered
                }
                Some(b'[') => {
                    check_depth(depth + open)?;
                    let entered = self.array_starts();
                    if entered {
                        is_object <<= 1;
                    }
                    entered
                }
                _ => return Err(self.unexpected("a JSON value")),
            };
            if entered {
                open += 1;
                continue;
            }
            // A value has ended. Leave every container that ends with it.
            loop {
                if open == 0 {
                    return Ok(());
                }
                if is_object & 1 == 1 {
                    if self.object_goes_on()? {
                        self.name_of_ignored()?;
                        break;
                    }
                } else if self.array_goes_on()? {
                    break;
                }
                is_object >>= 1;
                open -= 1;
            }
        }
    }

    fn name_of_ignored(&mut self) -> Parsed<()> {
        self.string()?;
        self.colon()
    }

    /// The error when the text at the cursor is not JSON, or not what the grammar allows here.
    #[cold]
    pub(super) fn unexpected(&self, want: &str) -> Box<Fault> {
        let at = self.at;
        match self.bytes.get(at) {
            None => Fault::new(format!("the record ends after {at} bytes, want {want}")),
            Some(_) => Fault::new(format!("byte {at}: found {}, want {want}", self.found())),
        }
    }

    /// The error when the value at the cursor is JSON, but of another type than the column's.
    #[cold]
    pub(super) fn wrong_type(&self, want: &str) -> Box<Fault> {
        match self.bytes.get(self.at) {
            Some(b'"') => Fault::new(format!("found a string, want {want}")),
            Some(b'{') => Fault::new(format!("found an object, want {want}")),
            Some(b'[') => Fault::new(format!("found an array, want {want}")),
            Some(b't' | b'f') => Fault::new(format!("found a boolean, want {want}")),
            Some(b'-' | b'0'..=b'9') => Fault::new(format!("found a number, want {want}")),
            Some(b'n') => Fault::new(format!("found null, want {want}")),
            _ => self.unexpected(want),
        }
    }

    /// The character at the cursor, for messages.
    fn found(&self) -> String {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let head = rest.get(..rest.len().min(4)).unwrap_or_default();
        let character = head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
        character.map_or_else(|| "half a character".to_owned(), |c| format!("{c:?}"))
    }
}

/// Refuses another container when `open` are open and that is the limit.
#[inline]
pub(super) fn check_depth(open: usize) -> Parsed<()> {
    if open < DEPTH_MAX {
        Ok(())
    } else {
        Err(Fault::new(format!("objects and arrays are nested more than {DEPTH_MAX} deep")))
    }
}
