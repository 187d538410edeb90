//! Values at the ends of their types, and calls whose result would be too large. The result is a value or an error of
//! that row; never a wrong value, never a panic.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::expr::compile;
use crate::types::{Column, DataType};

/// Columns by name and type, and one row of values as text. `null` is a null.
pub(super) struct Row {
    schema: SchemaRef,
    batch: RecordBatch,
}

impl Row {
    pub(super) fn of(columns: &[(&str, &str, &str)]) -> Self {
        let field = |(name, data_type, _): &(&str, &str, &str)| {
            Column { name: (*name).into(), data_type: DataType::parse(data_type).unwrap(), nullable: true }.to_field()
        };
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let value = |(i, (_, _, text)): (usize, &(&str, &str, &str))| {
            let text: ArrayRef = Arc::new(StringArray::from(vec![(*text != "null").then_some(*text)]));
            cast(&text, schema.field(i).data_type()).unwrap()
        };
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.iter().enumerate().map(value).collect()).unwrap();
        Self { schema, batch }
    }

    /// The type and the value, or the row's error.
    pub(super) fn eval(&self, sql: &str) -> Result<String, String> {
        let expr = compile(sql, &self.schema, "out").unwrap_or_else(|e| panic!("{sql}: {e}"));
        let array = expr.evaluate(&self.batch).map_err(|e| e.to_string())?;
        let options = FormatOptions::default().with_null("null");
        let value = ArrayFormatter::try_new(array.as_ref(), &options).unwrap().value(0).to_string();
        Ok(format!("{}: {value}", DataType::from_arrow(array.data_type()).unwrap()))
    }

    /// What evaluating the row gives, in words. `None` if the expression is refused, unless the planner panicked.
    pub(super) fn try_eval(&self, sql: &str) -> Option<String> {
        match compile(sql, &self.schema, "out") {
            Ok(expr) => Some(expr.evaluate(&self.batch).map_or_else(|e| e.to_string(), |_| "a value".to_owned())),
            Err(e) => Some(e.to_string()).filter(|said| said.contains("the planner could not read this")),
        }
    }

    fn check(&self, values: &[(&str, &str)], errors: &[&str], why: &str) {
        for (sql, expected) in values {
            assert_eq!(self.eval(sql).as_deref(), Ok(*expected), "{sql}");
        }
        for sql in errors {
            let error = self.eval(sql).expect_err(sql);
            assert!(error.contains(why), "{sql}: {error}");
        }
    }
}

const BEYOND: &str = "is beyond the range of its type";

#[test]
fn integers_do_not_wrap_at_their_ends() {
    let bigint = Row::of(&[
        ("least", "bigint", "-9223372036854775808"),
        ("most", "bigint", "9223372036854775807"),
        ("m", "bigint", "-1"),
    ]);
    bigint.check(
        &[
            ("most + m", "bigint: 9223372036854775806"),
            ("least - m", "bigint: -9223372036854775807"),
            ("-most", "bigint: -9223372036854775807"),
            ("abs(most)", "bigint: 9223372036854775807"),
            ("least % m", "bigint: 0"),
            ("cast(least as decimal(38,0)) - 1", "decimal(38,0): -9223372036854775809"),
            ("try_cast(cast(least as decimal(38,0)) - 1 as bigint)", "bigint: null"),
        ],
        &[
            "-least",
            "- (least)",
            "abs(least)",
            "most + 1",
            "most - m",
            "least - 1",
            "least + m",
            "most * 2",
            "least * m",
            "least / m",
        ],
        BEYOND,
    );
    let int = Row::of(&[("least", "int", "-2147483648"), ("most", "int", "2147483647"), ("m", "int", "-1")]);
    int.check(
        &[("most + 1", "bigint: 2147483648"), ("least * 2", "bigint: -4294967296"), ("least % m", "int: 0")],
        &["-least", "abs(least)", "most + most", "least + least", "least - most", "most * most", "least / m"],
        BEYOND,
    );
    for (narrow, most, least) in [("smallint", "32767", "-32768"), ("tinyint", "127", "-128")] {
        let row = Row::of(&[("most", "bigint", most), ("least", "bigint", least), ("one", "bigint", "1")]);
        let cast = |name: &str| format!("cast({name} as {narrow})");
        assert_eq!(row.eval(&cast("most")), Ok(format!("int: {most}")));
        for sql in [
            format!("{} + {}", cast("most"), cast("one")),
            format!("{} - {}", cast("least"), cast("one")),
            format!("{} * {}", cast("most"), cast("most")),
            format!("-{}", cast("least")),
            format!("abs({})", cast("least")),
        ] {
            let error = row.eval(&sql).expect_err(&sql);
            assert!(error.contains(BEYOND), "{sql}: {error}");
        }
        let error = row.eval(&cast("most + one")).unwrap_err();
        assert!(error.contains("can't be cast to"), "{error}");
    }
}

#[test]
fn constants_do_not_wrap_either() {
    let row = Row::of(&[("n", "bigint", "1")]);
    for sql in [
        "9223372036854775807 + 1",
        "n + (9223372036854775807 + 1)",
        "abs(1) + 9223372036854775807",
        "-(-9223372036854775807 - 1)",
        "coalesce(n, 9223372036854775807 * 2)",
        "(-9223372036854775807 - 1) / -1",
    ] {
        let refused = compile(sql, &row.schema, "out").expect_err(sql).to_string();
        assert!(refused.contains(BEYOND), "{sql}: {refused}");
    }
    assert_eq!(row.eval("9223372036854775806 + 1"), Ok("bigint: 9223372036854775807".to_owned()));
    assert_eq!(row.eval("-9223372036854775808"), Ok("bigint: -9223372036854775808".to_owned()));
}

#[test]
fn a_decimal_never_has_more_digits_than_its_type() {
    let row = Row::of(&[
        ("p", "decimal(20,10)", "1234567890.0123456789"),
        ("most", "decimal(38,0)", "99999999999999999999999999999999999999"),
        ("fine", "decimal(38,18)", "90000000000000000000.000000000000000000"),
        ("one", "decimal(38,0)", "1"),
        ("none", "decimal(38,0)", "null"),
    ]);
    let digits = "has more digits than its type";
    row.check(
        &[
            ("p + p", "decimal(21,10): 2469135780.0246913578"),
            ("most - one", "decimal(38,0): 99999999999999999999999999999999999998"),
            ("-most", "decimal(38,0): -99999999999999999999999999999999999999"),
            ("abs(most)", "decimal(38,0): 99999999999999999999999999999999999999"),
            ("most + none", "decimal(38,0): null"),
            ("cast(p as decimal(12,1))", "decimal(12,1): 1234567890.0"),
            ("cast(cast(p as decimal(19,9)) * p as decimal(38,0))", "decimal(38,0): 1524157875049535258"),
        ],
        &["p * p", "most + one", "-most - one"],
        digits,
    );
    // The sum needs more than 128 bits.
    assert!(row.eval("fine + fine").unwrap_err().contains(BEYOND));
    assert_eq!(
        row.eval("p * p").unwrap_err(),
        "`p * p`: `1524157875049535257.50053345778750190521` has more digits than its type, decimal(38,20), can hold: \
         cast the operands to \
         decimals of fewer digits"
    );
    for sql in [
        "most + most",
        "most * most",
        "cast(most as decimal(37,0))",
        "cast(fine as decimal(20,1))",
        "cast(most as bigint)",
        "round(most, 1) + one",
    ] {
        row.eval(sql).expect_err(sql);
    }
}

#[test]
fn a_value_that_is_computed_is_bounded() {
    let row = Row::of(&[
        ("s", "string", "ab"),
        ("n", "bigint", "9223372036854775807"),
        ("many", "bigint", "100000000"),
        ("few", "bigint", "3"),
        ("least", "bigint", "-9223372036854775808"),
        ("long", "string", &"x".repeat(5_000_000)),
    ]);
    row.check(
        &[
            ("repeat(s, few)", "string: ababab"),
            ("repeat(s, least)", "string: "),
            ("lpad(s, few, '0')", "string: 0ab"),
            ("lpad(s, least, '0')", "string: "),
            ("rpad(s, few)", "string: ab "),
            ("length(repeat(long, few))", "int: 15000000"),
            ("length(replace(long, 'y', long))", "int: 5000000"),
            ("length(concat(long, long, n, long))", "int: 15000019"),
            ("length(concat_ws(long, s, s, s))", "int: 10000006"),
            ("length(long || long || long)", "int: 15000000"),
            ("length(encode(long, 'hex'))", "int: 10000000"),
            ("length(regexp_replace(long, '^x', 'yyyy'))", "int: 5000003"),
            ("length(regexp_replace(long, '(x)x', '\\1\\1\\1'))", "int: 7500000"),
            ("length(regexp_replace(long, 'Y', 'yyyy', 'gi'))", "int: 5000000"),
            ("length(overlay(long placing long from 1))", "int: 5000000"),
            ("levenshtein(left(long, 10000), s)", "int: 10000"),
        ],
        &[
            "lpad(s, n, '0')",
            "rpad(s, n, '0')",
            "lpad(s, n)",
            "repeat(s, n)",
            "repeat(s, many)",
            "lpad(s, many, 'é')",
            "replace(long, 'x', long)",
            "replace(s, 'a', repeat(long, few) || 'xx' || repeat(long, few))",
            "concat(long, long, long, long)",
            "long || long || long || long",
            "repeat(long, few) || long",
            "length(repeat(long, few) || long)",
            &format!("length(concat({}))", vec!["long"; 2_000].join(", ")),
            &format!("length({})", vec!["long"; 40].join(" || ")),
            "length(concat_ws(long, s, s, s, s))",
            "length(encode(encode(long, 'hex'), 'hex'))",
            "length(regexp_replace(long, 'x', 'yyyy'))",
            "length(regexp_replace(long, 'x', 'yyyy', 'g'))",
            "length(regexp_replace(long, 'X', 'yyyy', 'gi'))",
            "length(regexp_replace(long, '(x)', '\\1\\1\\1\\1', 'g'))",
            "length(regexp_replace(long, '', 'yyyy', 'g'))",
            "length(overlay(repeat(long, few) placing long from 15000000))",
        ],
        "a value that is computed has at most 16777216",
    );
    row.check(&[], &["levenshtein(long, long)", "levenshtein(long, repeat('x', 100))"], "which takes too long");
    // A plain column is not computed, so the bound does not apply to it.
    assert!(row.eval("long").is_ok());
    for constant in ["repeat('x', 9223372036854775807)", "lpad('x', 2000000000, '0')", "repeat('x', 2000000000)"] {
        let refused = compile(constant, &row.schema, "out").expect_err(constant).to_string();
        assert!(refused.contains("16777216"), "{constant}: {refused}");
    }
}

/// One call makes at most 256 MiB; a caller that asks for more asks again with fewer rows.
#[test]
fn replacements_of_many_rows_at_once_are_bounded() {
    let column = Column { name: "s".into(), data_type: DataType::String, nullable: true }.to_field();
    let schema: SchemaRef = Arc::new(Schema::new(vec![column]));
    let text = "x".repeat(1_000);
    let rows = |count: usize| {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); count]));
        RecordBatch::try_new(Arc::clone(&schema), vec![texts]).unwrap()
    };
    let sql = format!("length(regexp_replace(s, 'x', '{}'))", "y".repeat(15_000));
    let replaced = compile(&sql, &schema, "out").unwrap();
    assert_eq!(replaced.evaluate(&rows(17)).unwrap().len(), 17);
    let error = replaced.evaluate(&rows(18)).unwrap_err().to_string();
    assert!(error.contains("`regexp_replace` would make more than 268435456 bytes of 18 rows at once"), "{error}");
}

#[test]
fn bytes_that_are_not_text_are_said_to_be_so() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Column { name: "key".into(), data_type: DataType::Binary, nullable: true }.to_field(),
    ]));
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(arrow::array::BinaryArray::from(vec![&b"\xff"[..]]))])
            .unwrap();
    let eval = |sql: &str| compile(sql, &schema, "out").unwrap().evaluate(&batch);
    let said = "`cast(key as string)`: the bytes are not UTF-8, so they are no string: write `encode(…, 'hex')`, or \
                `try_cast(… as string)` for null";
    assert_eq!(eval("cast(key as string)").unwrap_err().to_string(), said);
    assert_eq!(eval("try_cast(key as string)").unwrap().null_count(), 1);
    assert_eq!(eval("encode(key, 'hex')").unwrap().len(), 1);
}
