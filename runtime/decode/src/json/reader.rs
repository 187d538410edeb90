//! Reads a record's values into their columns. The schema leads: each column knows which JSON it takes, and says what
//! is wrong with anything else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_plan::plan::TimestampNumbers;
use weir_plan::quote::quoted;

use super::columns::{ColumnBuffer, Strings, Values};
use super::cursor::{Cursor, check_depth};
use super::date::parse_date;
use super::decimal::{DecimalError, to_unscaled};
use super::fields::{Fields, Found};
use super::number::{self, Number};
use super::text::Text;
use super::timestamp::{from_epoch_millis, parse_timestamp};
use crate::error::{Fault, NAME_CHARS_MAX, Parsed};

const A_DATE: &str = "a date like 2024-01-31";
const A_TIMESTAMP: &str = "a timestamp like 2024-01-31T12:34:56.789Z";

/// One record being read.
pub(super) struct Reader<'a, 's> {
    pub(super) cursor: Cursor<'a>,
    /// How many objects and arrays are open.
    pub(super) depth: usize,
    /// A buffer for strings whose escapes must be taken out before they are parsed.
    pub(super) scratch: &'s mut Vec<u8>,
    /// The greatest offset that string and array columns may reach.
    pub(super) offset_max: usize,
}

impl<'a> Reader<'a, '_> {
    /// Reads the whole record, which is one object and nothing else.
    pub(super) fn record(&mut self, fields: &mut Fields, row: usize) -> Parsed<()> {
        match self.cursor.peek() {
            Some(b'{') => self.object(fields, row)?,
            None => return Err(Fault::new("the record's value is empty, want a JSON object")),
            Some(_) => return Err(self.cursor.wrong_type("a JSON object")),
        }
        self.cursor.end()
    }

    /// Reads an object; the cursor stands at its opening brace.
    fn object(&mut self, fields: &mut Fields, row: usize) -> Parsed<()> {
        check_depth(self.depth)?;
        self.depth += 1;
        let start = self.cursor.place();
        let mut missing = fields.columns.len();
        let mut previous = None;
        let mut goes_on = self.cursor.object_starts()?;
        while goes_on {
            match fields.names.take(&mut self.cursor, previous, self.scratch)? {
                Found::Field(field) => {
                    self.cursor.colon()?;
                    let column = &mut fields.columns[field];
                    if column.len > row {
                        // The name occurs twice, and the last value counts.
                        column.truncate(row);
                    } else {
                        missing -= 1;
                    }
                    self.value(column).map_err(|fault| fault.in_field(fields.names.name(field)))?;
                    previous = Some(field);
                }
                Found::Ignored(name) => {
                    self.cursor.colon()?;
                    let skipped = self.cursor.skip(self.depth);
                    skipped.map_err(|fault| fault.in_field(&String::from_utf8_lossy(name.bytes(self.scratch))))?;
                }
            }
            goes_on = self.cursor.object_goes_on()?;
        }
        self.depth -= 1;
        if missing == 0 {
            return Ok(());
        }
        fields.fill_missing(row).map_err(|field| self.missing(fields.names.name(field), start))
    }

    /// The error for a missing required field. It also names a field of the object at `start` whose name differs only
    /// in its spelling, if there is one.
    #[cold]
    fn missing(&mut self, name: &str, start: usize) -> Box<Fault> {
        let there = self.spelled_otherwise(name, start).ok().flatten();
        let hint =
            there.map(|there| format!("; there is {}: write the column's name exactly as the field's", quoted(there)));
        Fault::new(format!("the field is missing, and the column is required{}", hint.unwrap_or_default()))
            .in_field(name)
    }

    /// A field of the object at `start` whose name has the letters and digits of `name` in another spelling. The object
    /// was read once already.
    fn spelled_otherwise(&mut self, name: &str, start: usize) -> Parsed<Option<String>> {
        let plain =
            |name: &str| name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
        let wanted = plain(name);
        self.cursor.go_back(start);
        let mut goes_on = self.cursor.object_starts()?;
        while goes_on {
            let found = self.cursor.string()?;
            let found = String::from_utf8_lossy(found.bytes(self.scratch)).into_owned();
            if found != name && plain(&found) == wanted {
                return Ok(Some(found.chars().take(NAME_CHARS_MAX).collect()));
            }
            self.cursor.colon()?;
            self.cursor.skip(self.depth)?;
            goes_on = self.cursor.object_goes_on()?;
        }
        Ok(None)
    }

    /// Appends the value at the cursor to `column`.
    fn value(&mut self, column: &mut ColumnBuffer) -> Parsed<()> {
        let first = self.cursor.peek();
        if let Some(b'n') = first {
            self.cursor.null()?;
            if !column.nullable {
                return Err(Fault::new("found null, and the column is required"));
            }
            column.push_null();
            return Ok(());
        }
        let row = column.len;
        match &mut column.values {
            Values::Bigint(v) => {
                let number = self.number(first, "a bigint")?;
                v.push(number.to_i64().ok_or_else(|| not_an_integer(number, "a bigint"))?);
            }
            Values::Int(v) => {
                let number = self.number(first, "an int")?;
                let value = number.to_i64().and_then(|value| i32::try_from(value).ok());
                v.push(value.ok_or_else(|| not_an_integer(number, "an int"))?);
            }
            Values::Double(v) => {
                let number = self.number(first, "a double")?;
                v.push(number.to_f64().ok_or_else(|| Fault::new("found a number beyond the range of a double"))?);
            }
            Values::Float(v) => {
                let number = self.number(first, "a float")?;
                v.push(number.to_f32().ok_or_else(|| Fault::new("found a number beyond the range of a float"))?);
            }
            Values::String(strings) => {
                let text = self.string(first, "a string")?;
                text.append_to(&mut strings.data);
                self.end_string(strings)?;
            }
            Values::Timestamp { us, numbers } => us.push(self.timestamp(first, *numbers)?),
            Values::Boolean(bits) => match first {
                Some(b't' | b'f') => bits.append(self.cursor.boolean()?),
                _ => return Err(self.cursor.wrong_type("a boolean")),
            },
            Values::Date(v) => {
                let text = self.string(first, A_DATE)?;
                let days = parse_date(text.bytes(self.scratch));
                v.push(days.ok_or_else(|| Fault::new(format!("found a string that is not {A_DATE}, or no such day")))?);
            }
            Values::Decimal { precision, scale, unscaled } => unscaled.push(self.decimal(first, *precision, *scale)?),
            Values::Binary(strings) => {
                let text = self.string(first, "a string of base64")?;
                // RFC 4648 §4 with its padding, no line breaks, unused bits zero: there is one way to write a value.
                let decoded = STANDARD.decode_vec(text.bytes(self.scratch), &mut strings.data);
                decoded
                    .map_err(|_| Fault::new("found a string that is not base64 (A-Z a-z 0-9 + /, padded with =)"))?;
                self.end_string(strings)?;
            }
            Values::Array { offsets, elements } => match first {
                Some(b'[') => {
                    self.array(elements)?;
                    offsets.push(self.offset(elements.len)?);
                }
                _ => return Err(self.cursor.wrong_type("an array")),
            },
            Values::Struct(fields) => match first {
                Some(b'{') => self.object(fields, row)?,
                _ => return Err(self.cursor.wrong_type("an object")),
            },
            Values::Map { offsets, keys, values } => match first {
                Some(b'{') => {
                    self.map(keys, values)?;
                    offsets.push(self.offset(values.len)?);
                }
                _ => return Err(self.cursor.wrong_type("an object")),
            },
        }
        column.len = row + 1;
        Ok(())
    }

    /// Reads an array; the cursor stands at its opening bracket.
    fn array(&mut self, elements: &mut ColumnBuffer) -> Parsed<()> {
        check_depth(self.depth)?;
        self.depth += 1;
        let start = elements.len;
        let mut goes_on = self.cursor.array_starts();
        while goes_on {
            let index = elements.len - start;
            self.value(elements).map_err(|fault| fault.in_element(index))?;
            goes_on = self.cursor.array_goes_on()?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads an object into a map; the cursor stands at its opening brace.
    fn map(&mut self, keys: &mut Strings, values: &mut ColumnBuffer) -> Parsed<()> {
        check_depth(self.depth)?;
        self.depth += 1;
        let start = values.len;
        let mut goes_on = self.cursor.object_starts()?;
        while goes_on {
            let place = values.len;
            self.cursor.string()?.append_to(&mut keys.data);
            self.end_string(keys)?;
            self.cursor.colon()?;
            self.value(values).map_err(|fault| fault.in_field(&keys.text(place)))?;
            goes_on = self.cursor.object_goes_on()?;
        }
        self.depth -= 1;
        match keys.repeated(start) {
            None => Ok(()),
            Some(place) => {
                Err(Fault::new("found the key twice, want each key of a map once").in_field(&keys.text(place)))
            }
        }
    }

    #[inline]
    fn number(&mut self, first: Option<u8>, want: &str) -> Parsed<Number<'a>> {
        match first {
            Some(b'-' | b'0'..=b'9') => self.cursor.number(),
            _ => Err(self.cursor.wrong_type(want)),
        }
    }

    #[inline]
    fn string(&mut self, first: Option<u8>, want: &str) -> Parsed<Text<'a>> {
        match first {
            Some(b'"') => self.cursor.string(),
            _ => Err(self.cursor.wrong_type(want)),
        }
    }

    #[inline]
    fn end_string(&self, strings: &mut Strings) -> Parsed<()> {
        strings.offsets.push(self.offset(strings.data.len())?);
        Ok(())
    }

    #[inline]
    fn offset(&self, end: usize) -> Parsed<i32> {
        match i32::try_from(end) {
            Ok(offset) if end <= self.offset_max => Ok(offset),
            _ => Err(Fault::new(format!(
                "the batch is full: its column would pass {} bytes or elements",
                self.offset_max
            ))),
        }
    }

    fn timestamp(&mut self, first: Option<u8>, numbers: TimestampNumbers) -> Parsed<i64> {
        if let Some(b'-' | b'0'..=b'9') = first {
            return self.timestamp_number(numbers);
        }
        let text = self.string(first, A_TIMESTAMP)?;
        let us = parse_timestamp(text.bytes(self.scratch));
        us.ok_or_else(|| Fault::new(format!("found a string that is not {A_TIMESTAMP}, or no such time")))
    }

    fn timestamp_number(&mut self, numbers: TimestampNumbers) -> Parsed<i64> {
        match numbers {
            TimestampNumbers::EpochMillis => {
                let number = self.cursor.number()?;
                let ms = number.to_i64().ok_or_else(|| not_an_integer(number, "milliseconds since 1970"))?;
                from_epoch_millis(ms).ok_or_else(|| Fault::new("found milliseconds outside of the years 0001 to 9999"))
            }
            TimestampNumbers::Refuse => Err(Fault::new(format!(
                "found a number, want {A_TIMESTAMP}; if numbers are milliseconds since 1970, set `timestampNumbers: \
                 EpochMillis`"
            ))),
        }
    }

    /// Reads a number, or a string that holds a number as JSON writes it.
    fn decimal(&mut self, first: Option<u8>, precision: u8, scale: i8) -> Parsed<i128> {
        let want = || format!("a decimal({precision},{scale})");
        let unscaled = match first {
            Some(b'-' | b'0'..=b'9') => to_unscaled(self.cursor.number()?, precision, scale),
            Some(b'"') => {
                let text = self.cursor.string()?.bytes(self.scratch);
                let number = number::scan(text, 0).ok().filter(|number| number.text.len() == text.len());
                let number = number
                    .ok_or_else(|| Fault::new(format!("found a string that is not a number, want {}", want())))?;
                to_unscaled(number, precision, scale)
            }
            _ => return Err(self.cursor.wrong_type(&want())),
        };
        unscaled.map_err(|error| {
            let which = match error {
                DecimalError::TooManyIntegerDigits => "before",
                DecimalError::TooManyFractionDigits => "after",
            };
            Fault::new(format!("found a number with too many digits {which} the point, want {}", want()))
        })
    }
}

#[cold]
fn not_an_integer(number: Number<'_>, want: &str) -> Box<Fault> {
    if number.is_integer {
        Fault::new(format!("found a number beyond the range of {want}"))
    } else {
        Fault::new(format!("found a number with a fraction or an exponent, want {want}"))
    }
}
