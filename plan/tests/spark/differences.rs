//! Where Weir's values are not Spark's: each row of the table "Where values differ from Spark" of the reference page,
//! with the expressions of the table that show it.

/// How an expression's result differs from Spark's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Weir refuses the expression.
    Refused,
    /// Spark refuses the expression, and Weir has values for it.
    Taken,
    /// The values are equal, and the type is this one.
    Type(&'static str),
    /// The type is this one, and the values of these rows (counted from 0) differ too.
    TypeAndRows(&'static str, &'static [usize]),
    /// The values of these rows (counted from 0) differ.
    Rows(&'static [usize]),
}

pub struct Difference {
    /// The first cell of the page's row.
    pub row: &'static str,
    /// The table's rows, the expression, and how its result differs.
    pub cases: &'static [(&'static str, &'static str, How)],
}

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        row: "whole literals",
        cases: &[
            ("numbers", "pmod(i, 7)", How::Type("bigint")),
            ("texts", "case s when 'a' then 1 when 'abc' then 2 end", How::Type("bigint")),
            ("booleans", "case when a then 1 when b then 2 else 3 end", How::Type("bigint")),
            ("nested", "array(k, 1)", How::Type("array<bigint>")),
            ("nested", "array(1, null)", How::Type("array<bigint>")),
            ("maps", "array(map('a', 1))", How::Type("array<map<string,bigint>>")),
        ],
    },
    Difference {
        row: "`a / b` of whole numbers",
        cases: &[(
            "numbers",
            "i / nullif(i, 0)",
            How::TypeAndRows("bigint", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22]),
        )],
    },
    Difference {
        row: "`a / b`, `try_divide(a, b)` of decimals",
        cases: &[
            ("numbers", "d / nullif(d, 0.00)", How::Type("decimal(16,6)")),
            ("numbers", "try_divide(d, d)", How::Type("decimal(16,6)")),
        ],
    },
    Difference { row: "`x / 0`, `x % 0` of doubles", cases: &[("numbers", "x / x", How::Rows(&[0, 10]))] },
    Difference {
        row: "`~n`, `n >>> k`, `n div k`, `a collate …`",
        cases: &[
            ("numbers", "~i", How::Refused),
            ("numbers", "~n", How::Refused),
            ("numbers", "n >>> k", How::Refused),
            ("numbers", "n div k", How::Refused),
            ("texts", "s collate UTF8_BINARY", How::Refused),
        ],
    },
    Difference { row: "`-0.0` in `greatest` and `least`", cases: &[("numbers", "least(x, 1.0e0)", How::Rows(&[10]))] },
    Difference {
        row: "`ceil(x)`, `floor(x)` of NaN and of doubles beyond a bigint",
        cases: &[
            ("numbers", "ceil(x)", How::Rows(&[5, 6, 7, 8, 9, 12])),
            ("numbers", "ceil(f)", How::Rows(&[5, 6, 7, 8, 9])),
            ("numbers", "ceiling(x)", How::Rows(&[5, 6, 7, 8, 9, 12])),
            ("numbers", "floor(x)", How::Rows(&[5, 6, 7, 8, 9, 12])),
            ("numbers", "floor(f)", How::Rows(&[5, 6, 7, 8, 9])),
        ],
    },
    Difference {
        row: "`ceil(x, 2)`, `floor(x, 2)`",
        cases: &[
            ("numbers", "ceil(x, 2)", How::Refused),
            ("numbers", "floor(x, 2)", How::Refused),
            ("numbers", "ceil(d, 1)", How::Refused),
            ("numbers", "floor(d, 1)", How::Refused),
            ("numbers", "ceil(x, -1)", How::Refused),
        ],
    },
    Difference {
        row: "doubles as texts",
        cases: &[
            ("numbers", "cast(x as string)", How::Rows(&[13])),
            ("numbers", "cast(f as string)", How::Rows(&[12, 13])),
            ("numbers", "x || ''", How::Rows(&[13])),
            ("numbers", "concat(x, 'a')", How::Rows(&[13])),
            ("numbers", "array_join(array(x, x), ',')", How::Rows(&[13])),
            ("numbers", "to_json(array(x, 1.5e0))", How::Rows(&[13])),
            ("numbers", "to_json(named_struct('x', x, 'f', f, 'd', d, 'n', n))", How::Rows(&[12, 13])),
        ],
    },
    Difference {
        row: "`cast(x as decimal(p,s))` of NaN and infinities",
        cases: &[("numbers", "cast(x as decimal(10,2))", How::Rows(&[7, 8, 9]))],
    },
    Difference {
        row: "casts between numbers or booleans and times, of decimals to booleans, and of booleans to decimals",
        cases: &[
            ("numbers", "cast(d as boolean)", How::Refused),
            ("numbers", "cast(n as timestamp)", How::Refused),
            ("times", "cast(k as timestamp)", How::Refused),
            ("times", "cast(ts as bigint)", How::Refused),
            ("times", "cast(ts as int)", How::Refused),
            ("times", "cast(ts as double)", How::Refused),
            ("booleans", "cast(a as decimal(3,1))", How::Refused),
        ],
    },
    Difference {
        row: "`concat_ws(',')`, `levenshtein(a, b, n)`, `replace(a, b)`",
        cases: &[
            ("texts", "concat_ws('-')", How::Refused),
            ("texts", "levenshtein(s, p, 2)", How::Refused),
            ("texts", "replace(s, p)", How::Refused),
        ],
    },
    Difference { row: "`initcap` of letters such as `İ`", cases: &[("texts", "initcap(s)", How::Rows(&[11]))] },
    Difference {
        row: "`trim('x', city)`, `ltrim('x', city)`, `rtrim('x', city)`, `position('x', city)`",
        cases: &[("texts", "position(p, s)", How::Refused)],
    },
    Difference {
        row: "`substr(text, -2147483648)`",
        cases: &[("texts", "substr(s, k)", How::Rows(&[16])), ("texts", "substring(s from k)", How::Rows(&[16]))],
    },
    Difference {
        row: "regular expressions",
        cases: &[
            ("texts", "regexp_like(s, 'a++b')", How::Refused),
            ("texts", "regexp_like(s, 'a*+a')", How::Refused),
            ("texts", "regexp_like(s, 'a(?=b)')", How::Refused),
            ("texts", "regexp_like(s, '(.)\\1')", How::Refused),
            ("texts", "regexp_like(s, '\\p{javaLowerCase}')", How::Refused),
            ("texts", "regexp_like(s, '[[:alpha:]]')", How::Refused),
        ],
    },
    Difference {
        row: "matches of an empty text, as in `regexp_replace(text, '', '-')`",
        cases: &[
            ("texts", "regexp_count(s, '')", How::Rows(&[3])),
            ("texts", "regexp_replace(s, '', '-')", How::Rows(&[3])),
            ("texts", "regexp_replace(s, 'x*', '-')", How::Rows(&[3])),
        ],
    },
    Difference { row: "`unbase64(text)`", cases: &[("texts", "unbase64(s)", How::Rows(&[2, 3, 8, 13, 14]))] },
    Difference {
        row: "`encode(text, charset)`, `decode(bytes, charset)`",
        cases: &[("texts", "encode(s, 'utf-16')", How::Refused)],
    },
    Difference {
        row: "`ts + interval '1 month 1 day'`",
        cases: &[("times", "ts + interval '1 month 1 day'", How::Taken)],
    },
    Difference {
        row: "`day - day`, `ts - ts`",
        cases: &[
            ("times", "day - e", How::TypeAndRows("bigint", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])),
            ("times", "ts - u", How::Refused),
        ],
    },
    Difference {
        row: "`day + interval '0 seconds'`",
        cases: &[(
            "times",
            "day + interval '0 seconds'",
            How::TypeAndRows("date", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13]),
        )],
    },
    Difference { row: "`date_trunc('nothing', ts)`", cases: &[("times", "date_trunc('nothing', ts)", How::Refused)] },
    Difference {
        row: "`trunc(day, 'month')`",
        cases: &[
            ("times", "trunc(day, 'month')", How::Refused),
            ("times", "trunc(day, 'year')", How::Refused),
            ("times", "trunc(day, 'week')", How::Refused),
            ("times", "trunc(day, 'quarter')", How::Refused),
            ("times", "trunc(day, 'day')", How::Refused),
        ],
    },
    Difference {
        row: "`date_format(ts, 'hh')`, `'F'`",
        cases: &[("times", "date_format(ts, 'hh')", How::Refused), ("times", "date_format(ts, 'F')", How::Refused)],
    },
    Difference {
        row: "`unix_timestamp(ts)`, `to_unix_timestamp(ts)`",
        cases: &[
            ("times", "to_unix_timestamp(ts)", How::Rows(&[2])),
            ("dates_as_texts", "to_unix_timestamp(t, p)", How::Rows(&[18])),
        ],
    },
    Difference {
        row: "`from_unixtime(n)`, `from_unixtime(n, pattern)`",
        cases: &[
            ("times", "from_unixtime(k)", How::Type("timestamp")),
            ("times", "from_unixtime(k, 'yyyy-MM-dd')", How::Refused),
        ],
    },
    Difference {
        row: "`make_timestamp(…, zone)`",
        cases: &[("fields", "make_timestamp(y, mo, dd, h, mi, sec, 'Europe/Paris')", How::Refused)],
    },
    Difference {
        row: "`to_date('20240131')`, `cast('20240131' as date)`",
        cases: &[
            ("dates_as_texts", "to_date(t)", How::Rows(&[4])),
            ("dates_as_texts", "try_to_date(t)", How::Rows(&[4])),
            ("dates_as_texts", "cast(t as date)", How::Rows(&[4])),
            ("dates_as_texts", "try_cast(t as date)", How::Rows(&[4])),
            ("dates_as_texts", "t::date", How::Rows(&[4])),
        ],
    },
    Difference {
        row: "`to_timestamp(text, pattern)`, `to_date(text, pattern)`",
        cases: &[
            ("dates_as_texts", "to_timestamp(t, 'yyyy-MM-dd[ HH:mm]')", How::Refused),
            ("dates_as_texts", "to_timestamp(t, 'yyyy-mm-dd')", How::Refused),
        ],
    },
    Difference {
        row: "`year(text)`, `date_add(text, 1)`, `date_format(text, pattern)`",
        cases: &[
            ("dates_as_texts", "year(t)", How::Refused),
            ("dates_as_texts", "date_add(t, 1)", How::Refused),
            ("dates_as_texts", "date_format(t, 'yyyy')", How::Refused),
        ],
    },
    Difference {
        row: "digits of other alphabets in a text that is cast to a decimal",
        cases: &[
            ("casts", "cast(t as decimal(10,2))", How::Rows(&[36])),
            ("casts", "try_cast(t as decimal(10,2))", How::Rows(&[36])),
        ],
    },
    Difference {
        row: "bytes that are not UTF-8 in `cast(bytes as string)`",
        cases: &[
            ("bytes", "cast(b as string)", How::Rows(&[3])),
            ("bytes", "try_cast(b as string)", How::Rows(&[3])),
            ("bytes", "encode(b, 'utf-8')", How::Rows(&[3])),
        ],
    },
    Difference {
        row: "`lpad`, `rpad`, `reverse` of bytes",
        cases: &[
            ("bytes", "lpad(b, 3, o)", How::TypeAndRows("string", &[1, 2, 3, 4, 6])),
            ("bytes", "rpad(b, 3, o)", How::TypeAndRows("string", &[1, 2, 3, 4, 6])),
            ("bytes", "reverse(b)", How::TypeAndRows("string", &[1, 2, 3, 4, 6])),
        ],
    },
    Difference {
        row: "other functions of texts with bytes",
        cases: &[
            ("bytes", "right(b, k)", How::Refused),
            ("bytes", "contains(b, o)", How::Refused),
            ("bytes", "startswith(b, o)", How::Refused),
            ("bytes", "endswith(b, o)", How::Refused),
            ("bytes", "ascii(b)", How::Refused),
            ("bytes", "upper(b)", How::Refused),
            ("bytes", "trim(b)", How::Refused),
            ("bytes", "overlay(b placing o from 1)", How::Refused),
            ("bytes", "replace(b, o, o)", How::Refused),
            ("bytes", "position(o in b)", How::Refused),
        ],
    },
    Difference {
        row: "`from_json` of a map with a key twice",
        cases: &[
            ("documents", "from_json(j, 'map<string, string>')", How::Rows(&[11])),
            ("documents", "to_json(from_json(j, 'map<string, string>'))", How::Rows(&[11])),
        ],
    },
    Difference {
        row: "casts of maps to other keys, such as `cast(m as map<int, int>)`",
        cases: &[
            ("maps", "cast(m as map<int, int>)", How::Refused),
            ("maps", "cast(x as map<string, double>)", How::Refused),
            ("maps", "try_cast(n as map<int, string>)", How::Refused),
        ],
    },
    Difference { row: "`rows.a` of an array of structs", cases: &[("nested", "rows.a", How::Refused)] },
    Difference {
        row: "`array()`, `size(null)`, and other bare nulls in place of an array or a time",
        cases: &[
            ("nested", "array()", How::Refused),
            ("nested", "array(null, null)", How::Refused),
            ("nested", "size(null)", How::Refused),
            ("nested", "element_at(tags, null)", How::Taken),
            ("times", "from_utc_timestamp(null, 'Europe/Paris')", How::Refused),
        ],
    },
    Difference { row: "`array_join` of bytes", cases: &[("bytes", "array_join(array(b, o), ',')", How::Refused)] },
    Difference {
        row: "`convert_timezone(from, to, ts)`",
        cases: &[(
            "times",
            "convert_timezone('Europe/Paris', 'America/New_York', cast(ts as timestamp_ntz))",
            How::Refused,
        )],
    },
    Difference {
        row: "`concat(tags, more)`, `concat_ws(',', tags)`, `reverse(tags)` of arrays",
        cases: &[("nested", "concat(tags, tags)", How::Refused), ("nested", "reverse(tags)", How::Refused)],
    },
];
