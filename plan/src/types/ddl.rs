//! Parses DDL type names. The grammar is Spark's (<https://spark.apache.org/docs/latest/sql-ref-datatypes.html>),
//! without the types that no column of ours has.

use super::{Column, DataType};
use crate::quote::quoted;

/// The most levels of types within types. Deeper types are refused, since their readers and writers recurse.
pub(crate) const DEPTH_MAX: usize = 16;

const KNOWN: &str = "boolean, int, bigint, float, double, decimal(p,s), string, binary, date, timestamp, array<…>, \
                     struct<name: type, …> and map<string, …>";

pub(super) fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(super) fn parse(text: &str) -> Result<DataType, String> {
    let mut parser = Parser { text, at: 0 };
    let data_type = parser.data_type(0)?;
    match parser.peek() {
        None => Ok(data_type),
        Some(_) => Err(parser.unexpected(&format!("the end after `{data_type}`"))),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// The number of bytes that have been read.
    at: usize,
}

impl Parser<'_> {
    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        if depth > DEPTH_MAX {
            return Err(format!("the type {} is nested more than {DEPTH_MAX} deep", quoted(self.text.trim())));
        }
        let Some(word) = self.word() else {
            return Err(self.unexpected(&format!("a type: {KNOWN}")));
        };
        let found = match word.to_lowercase().as_str() {
            "boolean" => DataType::Boolean,
            "int" | "integer" => DataType::Int,
            "bigint" | "long" => DataType::Bigint,
            "float" | "real" => DataType::Float,
            "double" => DataType::Double,
            "decimal" | "dec" | "numeric" => self.decimal()?,
            "string" => DataType::String,
            "binary" => DataType::Binary,
            "date" => DataType::Date,
            "timestamp" => DataType::Timestamp,
            "array" => self.array(depth)?,
            "struct" => self.struct_of(depth)?,
            "map" => self.map(depth)?,
            other => return Err(unknown(&word, other)),
        };
        Ok(found)
    }

    fn decimal(&mut self) -> Result<DataType, String> {
        if !self.eat('(') {
            return Ok(DataType::Decimal { precision: 10, scale: 0 });
        }
        let precision = self.number("a precision from 1 to 38, as in `decimal(10,2)`")?;
        if self.eat('.')
            && let Ok(scale) = self.number("a scale, as in `decimal(10,2)`")
        {
            return Err(format!(
                "`decimal({precision}.{scale})` has a point between its digits and those behind the point: write \
                 `decimal({precision},{scale})`"
            ));
        }
        let scale = if self.eat(',') { self.number("a scale, as in `decimal(10,2)`")? } else { 0 };
        self.expect(')')?;
        if !(1..=38).contains(&precision) {
            return Err(format!(
                "`decimal({precision},{scale})` has a precision of {precision}; it must be from 1 to 38"
            ));
        }
        if scale > precision {
            return Err(format!(
                "`decimal({precision},{scale})` has a scale of {scale}; it must be from 0 to the precision, {precision}"
            ));
        }
        match (u8::try_from(precision), i8::try_from(scale)) {
            (Ok(precision), Ok(scale)) => Ok(DataType::Decimal { precision, scale }),
            _ => Err(format!("`decimal({precision},{scale})` is not a decimal type; the precision is from 1 to 38")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<DataType, String> {
        if self.peek().is_none() {
            return Err("`array` lacks the type of its items: write it, as in `array<string>`".to_owned());
        }
        self.expect('<')?;
        let element = self.data_type(depth + 1)?;
        self.expect('>')?;
        Ok(DataType::Array(Box::new(element)))
    }

    fn map(&mut self, depth: usize) -> Result<DataType, String> {
        if self.peek().is_none() {
            return Err(
                "`map` lacks the types of its keys and values: write them, as in `map<string, double>`".to_owned()
            );
        }
        self.expect('<')?;
        let key = self.data_type(depth + 1)?;
        if key.has_map() {
            return Err(format!(
                "{} has the keys {key}, and maps have no equality by which a key is found: write `map<string, …>`",
                quoted(self.text.trim())
            ));
        }
        self.expect(',')?;
        let value = self.data_type(depth + 1)?;
        self.expect('>')?;
        Ok(DataType::Map(Box::new(key), Box::new(value)))
    }

    fn struct_of(&mut self, depth: usize) -> Result<DataType, String> {
        if self.peek().is_none() {
            return Err("`struct` lacks its fields: write them, as in `struct<a: int, b: string>`".to_owned());
        }
        self.expect('<')?;
        let mut fields: Vec<Column> = Vec::new();
        loop {
            let Some(name) = self.field_name()? else {
                return Err(self.unexpected("the name of a field, as in `struct<a: int, b: string not null>`"));
            };
            if fields.iter().any(|f| f.name == name) {
                return Err(format!(
                    "`{}` has two fields named `{name}`; names within a struct must differ",
                    self.text.trim()
                ));
            }
            self.eat(':');
            let data_type = self.data_type(depth + 1)?;
            let nullable = !self.not_null()?;
            fields.push(Column { name, data_type, nullable });
            if self.eat('>') {
                return Ok(DataType::Struct(fields));
            }
            if !self.eat(',') {
                return Err(self.unexpected("`,` or `>`"));
            }
        }
    }

    /// Reads `not null`; returns whether it was there.
    fn not_null(&mut self) -> Result<bool, String> {
        let before = self.at;
        match self.word() {
            Some(word) if word.eq_ignore_ascii_case("not") => match self.word() {
                Some(word) if word.eq_ignore_ascii_case("null") => Ok(true),
                _ => Err(self.unexpected("`null` after `not`")),
            },
            _ => {
                self.at = before;
                Ok(false)
            }
        }
    }

    fn field_name(&mut self) -> Result<Option<String>, String> {
        if !self.eat('`') {
            return Ok(self.word());
        }
        let mut name = String::new();
        let mut rest = self.text[self.at..].char_indices().peekable();
        while let Some((i, c)) = rest.next() {
            if c != '`' {
                name.push(c);
            } else if rest.next_if(|(_, c)| *c == '`').is_some() {
                name.push('`');
            } else {
                self.at += i + 1;
                return Ok(Some(name).filter(|n| !n.is_empty()));
            }
        }
        Err(format!("`{}` has a name that starts with a backtick and does not end with one", self.text.trim()))
    }

    fn number(&mut self, wanted: &str) -> Result<u32, String> {
        let before = self.at;
        let number = self.word().and_then(|w| w.parse().ok());
        number.ok_or_else(|| {
            self.at = before;
            self.unexpected(wanted)
        })
    }

    fn word(&mut self) -> Option<String> {
        self.skip_spaces();
        let rest = &self.text[self.at..];
        let len = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
        self.at += len;
        (len > 0).then(|| rest[..len].to_owned())
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.eat(wanted) { Ok(()) } else { Err(self.unexpected(&format!("`{wanted}`"))) }
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_spaces();
        self.text[self.at..].chars().next()
    }

    fn skip_spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn unexpected(&mut self, wanted: &str) -> String {
        self.skip_spaces();
        let text = self.text.trim();
        if text.is_empty() {
            return format!("the type is empty, expected {wanted}");
        }
        let rest = self.text[self.at..].trim_end();
        if rest.is_empty() {
            format!("`{text}` ends too soon, expected {wanted}")
        } else {
            format!("`{text}` has `{rest}` where {wanted} should be")
        }
    }
}

fn unknown(word: &str, lower: &str) -> String {
    let hint = match lower {
        "tinyint" | "smallint" | "byte" | "short" | "int8" | "int16" => "write int, whose range is wider",
        "varchar" | "char" | "character" | "text" | "utf8" => "write string",
        "bool" => "write boolean",
        "int32" => "write int",
        "int64" => "write bigint",
        "float32" => "write float",
        "float64" | "number" => "write double, or decimal(p,s) for exact numbers",
        "uint8" | "uint16" => "write int",
        "uint32" => "write bigint",
        "uint64" => "write decimal(20,0)",
        "json" | "jsonb" | "variant" | "object" => {
            "write struct<name: type, …> with the fields that you need, map<string, …> where the names vary, or string \
             where the JSON is a text in the records"
        }
        "uuid" | "enum" => "write string",
        "dict" | "dictionary" | "hashmap" | "multiset" => "write map<string, …> with the type of the values",
        "list" | "set" => "write array<…> with the type of the items, as in `array<string>`",
        "record" | "row" => "write struct<name: type, …>",
        "time" => "there are no times without a day: write string",
        "bytes" | "bytea" | "blob" => "write binary",
        "timestamp_ltz" | "timestamptz" => "write timestamp, which is the same",
        "timestamp_ntz" | "datetime" => {
            "there are no times without a zone; timestamp takes them for UTC, which moves them if they are not: write \
             timestamp if they are in UTC, and string if they are not"
        }
        _ => return format!("{} is not a type; the types are {KNOWN}", quoted(word)),
    };
    format!("{} is not a type here: {hint}; the types are {KNOWN}", quoted(word))
}
