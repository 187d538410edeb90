//! A strict reader of JSON text (RFC 8259): hands out tokens in place, without copies, and skips what nobody asked for
//! with the same rules. Our own instead of jiter's: without big integers jiter refuses 19-digit ones (`i64::MAX`), it
//! cuts numbers at 4300 digits and does not check that skipped strings are UTF-8, and it was a third slower.
//! `tests/fuzz.rs` holds ours against serde_json.

use super::number::{self, Number};
use super::text::{self, Text};
use crate::error::{Fault, Parsed};

/// Objects and arrays may be nested this deep, the record's own object included, in ignored fields as well
/// (serde_json's limit).
pub(super) const DEPTH_MAX: usize = 128;

/// A place in a record's text.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Takes text, not bytes: that the record is UTF-8 has been checked once, as a whole.
    pub(super) fn new(record: &'a str) -> Self {
        Self { bytes: record.as_bytes(), at: 0 }
    }

    /// Where the cursor stands, for [`Self::go_back`].
    #[inline]
    pub(super) fn place(&self) -> usize {
        self.at
    }

    pub(super) fn go_back(&mut self, place: usize) {
        self.at = place;
    }

    /// The next byte that is not whitespace, without taking it. `None` at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes the byte that `peek` gave.
    #[inline]
    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    /// Takes `token` if it comes next, to the byte.
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

    /// `true` or `false`.
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
    /// it was empty, and is behind us.
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

    /// After a field's value. True: the cursor stands at the quote of the next name. False: the object has ended.
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

    /// Enters the array whose opening bracket comes next. False: it was empty, and is behind us.
    #[inline]
    pub(super) fn array_starts(&mut self) -> bool {
        self.bump();
        let empty = self.peek() == Some(b']');
        if empty {
            self.bump();
        }
        !empty
    }

    /// After an element. False: the array has ended.
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

    /// Nothing but whitespace may follow.
    pub(super) fn end(&mut self) -> Parsed<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the record: it holds one object")),
        }
    }

    /// Takes a value of any kind that nobody asked for, checking every rule on the way; `depth` objects and arrays are
    /// open around it. Not recursive: a record of brackets costs no stack.
    pub(super) fn skip(&mut self, depth: usize) -> Parsed<()> {
        // One bit per open container, the innermost lowest: 1 is an object. DEPTH_MAX of them fit.
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
            // A value has ended: leave every container that ends with it.
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

    /// What stands here is no JSON, or not what the grammar allows here.
    #[cold]
    pub(super) fn unexpected(&self, want: &str) -> Box<Fault> {
        let at = self.at;
        match self.bytes.get(at) {
            None => Fault::new(format!("the record ends after {at} bytes, want {want}")),
            Some(_) => Fault::new(format!("byte {at}: found {}, want {want}", self.found())),
        }
    }

    /// What stands here is JSON, but of another type than the column's.
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

    /// The character that stands here, for messages.
    fn found(&self) -> String {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let head = rest.get(..rest.len().min(4)).unwrap_or_default();
        let character = head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
        character.map_or_else(|| "half a character".to_owned(), |c| format!("{c:?}"))
    }
}

/// Whether one more container may be opened when `open` are.
#[inline]
pub(super) fn check_depth(open: usize) -> Parsed<()> {
    if open < DEPTH_MAX {
        Ok(())
    } else {
        Err(Fault::new(format!("objects and arrays are nested more than {DEPTH_MAX} deep")))
    }
}
