//! What to write instead of functions and operators that other SQL dialects have and this one lacks. Suggesting a name
//! that is spelled similarly (`md5`, `min`) does not help: the user did not mistype.

use super::built;
use super::context::CONTEXT;
use crate::quote::quoted;

/// A function of Spark, Flink or another engine that this dialect lacks.
pub(super) struct Habit {
    pub name: &'static str,
    /// Example arguments.
    pub args: &'static [&'static str],
    pub advice: Advice,
}

#[derive(Clone, Copy)]
pub(super) enum Advice {
    /// The equivalent expression here. `$1` is the first argument.
    Write(&'static str),
    /// Equivalent expressions, each with the arguments that it is for.
    Each(&'static [(&'static str, &'static str)]),
    /// The equivalent expression for some arguments, and a sentence for the others.
    Built(fn(&[&str]) -> Option<String>, &'static str),
    /// There is no equivalent: a sentence that says what to do.
    Lacking(&'static str),
}

/// What to write in place of a call.
pub(super) enum Instead {
    /// An expression of the call's own arguments.
    Write(String),
    /// A sentence.
    Say(String),
}

use Advice::{Built, Each, Lacking, Write};

const ARRAYS: &str =
    "arrays and maps can't be looked into by an expression yet: flatten them where the records are produced";
const JSON: &str =
    "declare what is inside as a column of the source, such as `s` of the type `struct<a: int>`, and write `s.a`";
const HASHES: &str = "there are no hash functions yet: compute it where the records are produced";
const ZONES: &str = "there are no time zones in expressions yet: times are in UTC";
const AGGREGATE: &str = "the aggregate is not supported yet: the reference of expressions lists those that are";
const A_CASE: &str = "write `case when … then … else … end`";
const A_NAME: &str = "write the name of the column alone, as in `city`";
const CAST: &str = "cast($1 as $2)";
const PLAIN: &str = "it is not supported yet: compute it where the records are produced";
const OVER: &str = "it needs other rows, and an expression sees one: use an aggregate step";
const WINDOWS: &str = "windows are a part of a step: write `aggregate: {window: {tumbling: {size: …}}}`";
const ROWS: &str = "it gives several rows for one, which is a step's work and is not supported yet";
const CLOCK: &str = "its result would differ when an epoch is run again: write `_event_time` or a column";
const DIGITS: &str = "write a cast to a decimal of the digits that there are, as in `cast(… as decimal(10,2))`";
const FORMATS: &str = "join the parts by `concat(…)` or `||`, and pad numbers by `lpad(…, 5, '0')`";
const WHOLE: &str = "whole numbers";
const OFFSETS: &str = "write the record's own coordinates as columns, which `metadataColumns` of the source gives";

const fn habit(name: &'static str, args: &'static [&'static str], advice: Advice) -> Habit {
    Habit { name, args, advice }
}

#[rustfmt::skip]
pub(super) const HABITS: &[Habit] = &[
    // Conditions and nulls.
    habit("if", &["paid", "1", "2"], Write("case when $1 then $2 else $3 end")),
    habit("iif", &["paid", "1", "2"], Write("case when $1 then $2 else $3 end")),
    habit("iff", &["paid", "1", "2"], Write("case when $1 then $2 else $3 end")),
    habit("isnull", &["city"], Write("$1 is null")),
    habit("isnotnull", &["city"], Write("$1 is not null")),
    habit("equal_null", &["city", "'Paris'"], Write("$1 is not distinct from $2")),
    habit("nullifzero", &["seats"], Write("nullif($1, 0)")),
    habit("zeroifnull", &["seats"], Write("coalesce($1, 0)")),
    habit("xor", &["paid", "true"], Write("$1 <> $2")),
    habit("when", &["paid", "1"], Lacking(A_CASE)),
    habit("switch", &["city", "'a'", "1"], Lacking("write a `case`, with a `when` for each value")),
    // DataFrames.
    habit("col", &["'city'"], Lacking(A_NAME)),
    habit("column", &["'city'"], Lacking(A_NAME)),
    habit("lit", &["1"], Write("$1")),
    habit("otherwise", &["1"], Lacking(A_CASE)),
    // Casts.
    habit("bigint", &["city"], Write("cast($1 as bigint)")),
    habit("binary", &["city"], Write("cast($1 as binary)")),
    habit("bool", &["city"], Write("cast($1 as boolean)")),
    habit("boolean", &["city"], Write("cast($1 as boolean)")),
    habit("cast", &["city", "int"], Write(CAST)),
    habit("convert", &["city", "int"], Write(CAST)),
    habit("date", &["ts"], Write("cast($1 as date)")),
    habit("decimal", &["price"], Write("cast($1 as decimal(10,0))")),
    habit("double", &["city"], Write("cast($1 as double)")),
    habit("float", &["city"], Write("cast($1 as float)")),
    habit("int", &["city"], Write("cast($1 as int)")),
    habit("number", &["city"], Write("cast($1 as double)")),
    habit("parsefloat", &["city"], Write("cast($1 as double)")),
    habit("parseint", &["city"], Write("cast($1 as int)")),
    habit("str", &["seats"], Write("cast($1 as string)")),
    habit("string", &["seats"], Write("cast($1 as string)")),
    habit("timestamp", &["city"], Write("cast($1 as timestamp)")),
    habit("to_number", &["city", "'999.99'"], Lacking(DIGITS)),
    habit("try_to_number", &["city", "'999.99'"], Lacking(DIGITS)),
    habit("to_string", &["seats"], Write("cast($1 as string)")),
    habit("to_varchar", &["seats"], Write("cast($1 as string)")),
    habit("typeof", &["city"], Lacking("`weir validate` prints the type of each column")),
    // Text.
    habit("charindex", &["'r'", "city"], Built(built::locate, "write `strpos(…, …)`, which takes the text first")),
    habit("elt", &["2", "city", "'x'"], Built(built::elt, "write a `case`, with a `when` for each place")),
    habit("format_number", &["price", "2"], Lacking("there are no separators of thousands: write `cast(cast(… as \
                                                     decimal(38,2)) as string)` for the digits without them")),
    habit("format_string", &["'%s!'", "city"], Lacking(FORMATS)),
    habit("mid", &["city", "2", "3"], Write("substr($1, $2, $3)")),
    habit("printf", &["'%s!'", "city"], Lacking(FORMATS)),
    habit("regexp_extract_all", &["city", "'P'"], Lacking(ARRAYS)),
    habit("sentences", &["city"], Lacking(ARRAYS)),
    habit("soundex", &["city"], Lacking(PLAIN)),
    habit("ilike", &["city", "'p%'"], Write("$1 ilike $2")),
    habit("like", &["city", "'P%'"], Write("$1 like $2")),
    habit("split", &["city", "'-'"], Each(&[
        ("split_part($1, $2, 1)", "the first part, by a separator that is no regular expression"),
    ])),
    habit("split_index", &["city", "'-'", "0"], Write("split_part($1, $2, $3 + 1)")),
    habit("parse_url", &["city", "'HOST'"], Lacking("write \
        `regexp_extract(…, '^[a-z]+://([^/:?#]+)', 1)` for the host, and other patterns for other parts")),
    // Hashes.
    habit("crc32", &["city"], Lacking(HASHES)),
    habit("hash", &["city"], Lacking(HASHES)),
    habit("md5", &["city"], Lacking(HASHES)),
    habit("sha", &["city"], Lacking(HASHES)),
    habit("sha1", &["city"], Lacking(HASHES)),
    habit("sha2", &["city", "256"], Lacking(HASHES)),
    habit("sha224", &["city"], Lacking(HASHES)),
    habit("sha256", &["city"], Lacking(HASHES)),
    habit("sha384", &["city"], Lacking(HASHES)),
    habit("sha512", &["city"], Lacking(HASHES)),
    habit("xxhash64", &["city"], Lacking(HASHES)),
    // Numbers.
    habit("div", &["seats", "2"], Each(&[("$1 / $2", "whole numbers")])),
    habit("negative", &["seats"], Write("-$1")),
    habit("truncate", &["price", "2"], Write("trunc($1, $2)")),
    habit("try_add", &["seats", "1"], Each(&[("try_cast(cast($1 as decimal(38,0)) + $2 as bigint)", WHOLE)])),
    habit("try_divide", &["seats", "userId"], Each(&[
        ("cast($1 as double) / nullif($2, 0)", "whole numbers and doubles"),
        ("$1 / nullif($2, 0)", "decimals"),
    ])),
    habit("try_multiply", &["seats", "2"], Each(&[("try_cast(cast($1 as decimal(19,0)) * $2 as bigint)", WHOLE)])),
    habit("try_subtract", &["seats", "1"], Each(&[("try_cast(cast($1 as decimal(38,0)) - $2 as bigint)", WHOLE)])),
    habit("width_bucket", &["price", "0", "10", "5"], Lacking("write a `case`, with a `when` for each bucket")),
    habit("randn", &[], Lacking("its result would differ when an epoch is run again: compute it where the records are \
                                 produced")),
    // Dates and times.
    habit("convert_timezone", &["'UTC'", "ts"], Lacking(ZONES)),
    habit("convert_tz", &["ts"], Lacking(ZONES)),
    habit("curdate", &[], Lacking(CLOCK)),
    habit("current_watermark", &["ts"], Lacking(OVER)),
    habit("from_utc_timestamp", &["ts"], Lacking(ZONES)),
    habit("getdate", &[], Lacking(CLOCK)),
    habit("localtimestamp", &[], Lacking(CLOCK)),
    habit("proctime", &[], Lacking(CLOCK)),
    habit("to_timestamp_ltz", &["userId", "3"], Built(built::to_timestamp_ltz, "write \
        `to_timestamp_seconds(…)` or `to_timestamp_millis(…)`")),
    habit("to_utc_timestamp", &["ts"], Lacking(ZONES)),
    habit("unix_timestamp", &["ts"], Built(built::unix_timestamp, CLOCK)),
    habit("week", &["ts"], Write("weekofyear($1)")),
    // JSON, arrays and maps.
    habit("array_contains", &["tags", "1"], Lacking(ARRAYS)),
    habit("array_distinct", &["tags"], Lacking(ARRAYS)),
    habit("array_join", &["tags", "','"], Lacking(ARRAYS)),
    habit("array_length", &["tags"], Lacking(ARRAYS)),
    habit("array_size", &["tags"], Lacking(ARRAYS)),
    habit("array_to_string", &["tags", "','"], Lacking(ARRAYS)),
    habit("arrays_overlap", &["tags", "tags"], Lacking(ARRAYS)),
    habit("aggregate", &["tags"], Lacking(ARRAYS)),
    habit("cardinality", &["tags"], Lacking(ARRAYS)),
    habit("element_at", &["tags", "1"], Lacking(ARRAYS)),
    habit("filter", &["tags"], Lacking(ARRAYS)),
    habit("explode", &["tags"], Lacking(ROWS)),
    habit("explode_outer", &["tags"], Lacking(ROWS)),
    habit("flatten", &["tags"], Lacking(ARRAYS)),
    habit("forall", &["tags"], Lacking(ARRAYS)),
    habit("from_json", &["city"], Lacking(JSON)),
    habit("get", &["tags", "0"], Lacking(ARRAYS)),
    habit("get_json_object", &["city", "'$.a'"], Lacking(JSON)),
    habit("inline", &["tags"], Lacking(ROWS)),
    habit("json_array_length", &["city"], Lacking(JSON)),
    habit("json_extract", &["city", "'$.a'"], Lacking(JSON)),
    habit("json_extract_scalar", &["city", "'$.a'"], Lacking(JSON)),
    habit("json_exists", &["city", "'$.a'"], Lacking(JSON)),
    habit("json_object", &["city"], Lacking(JSON)),
    habit("json_query", &["city", "'$.a'"], Lacking(JSON)),
    habit("json_tuple", &["city", "'a'"], Lacking(JSON)),
    habit("json_value", &["city", "'$.a'"], Lacking(JSON)),
    habit("array", &["1", "2"], Lacking("arrays can't be written out yet")),
    habit("map", &["1", "2"], Lacking(ARRAYS)),
    habit("map_contains_key", &["tags"], Lacking(ARRAYS)),
    habit("map_keys", &["tags"], Lacking(ARRAYS)),
    habit("map_values", &["tags"], Lacking(ARRAYS)),
    habit("parse_json", &["city"], Lacking(JSON)),
    habit("posexplode", &["tags"], Lacking(ROWS)),
    habit("sequence", &["1", "2"], Lacking(ARRAYS)),
    habit("size", &["tags"], Lacking(ARRAYS)),
    habit("slice", &["tags", "1", "2"], Lacking(ARRAYS)),
    habit("sort_array", &["tags"], Lacking(ARRAYS)),
    habit("stack", &["1", "2"], Lacking(ROWS)),
    habit("to_json", &["s"], Lacking(JSON)),
    habit("transform", &["tags"], Lacking(ARRAYS)),
    // Aggregates.
    habit("count_if", &["paid"], Lacking("write `count(*)`, and the condition as the column's `filter`")),
    habit("mean", &["price"], Lacking("write `avg(…)`")),
    habit("mode", &["city"], Lacking(AGGREGATE)),
    // Window functions over other rows.
    habit("dense_rank", &[], Lacking(OVER)),
    habit("lag", &["city"], Lacking(OVER)),
    habit("lead", &["city"], Lacking(OVER)),
    habit("ntile", &["4"], Lacking(OVER)),
    habit("rank", &[], Lacking(OVER)),
    habit("row_number", &[], Lacking(OVER)),
    habit("hop", &["ts"], Lacking(WINDOWS)),
    habit("hop_start", &["ts"], Lacking(WINDOWS)),
    habit("session", &["ts"], Lacking(WINDOWS)),
    habit("session_window", &["ts"], Lacking(WINDOWS)),
    habit("tumble", &["ts"], Lacking(WINDOWS)),
    habit("tumble_end", &["ts"], Lacking("write `window_end`, which the results of a window carry")),
    habit("tumble_start", &["ts"], Lacking("write `window_start`, which the results of a window carry")),
    habit("window", &["ts", "'5 minutes'"], Lacking(WINDOWS)),
    habit("window_time", &["ts"], Lacking("write `_event_time`, which the results of a window carry")),
    habit("input_file_name", &[], Lacking(OFFSETS)),
    habit("monotonically_increasing_id", &[], Lacking(OFFSETS)),
    habit("spark_partition_id", &[], Lacking(OFFSETS)),
];

/// The most characters of a suggestion with the user's arguments.
pub(super) const SUGGESTION_CHARS_MAX: usize = 150;

/// The message that there is no such function and what to write instead; `None` if other engines do not have it either.
pub(super) fn no_such_function(name: &str, args: &[String]) -> Option<String> {
    let name = name.to_lowercase();
    if CONTEXT.has_function(&name) {
        return None;
    }
    let habit = HABITS.iter().find(|h| h.name == name)?;
    let instead = match habit.instead(args) {
        Instead::Write(own) => format!("write {}", quoted(own)),
        Instead::Say(sentence) => sentence,
    };
    Some(format!("there is no function {}: {instead}", quoted(name)))
}

impl Habit {
    /// What to write in place of a call with these arguments. Where that is not known, the sentence has no arguments of
    /// others, except in a call that it names.
    pub fn instead(&self, args: &[String]) -> Instead {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        match self.advice {
            Lacking(what) => Instead::Say(what.to_owned()),
            Built(build, otherwise) => {
                build(&args).and_then(short).map_or_else(|| Instead::Say(otherwise.to_owned()), Instead::Write)
            }
            Write(template) => match self.own(template, &args) {
                Some(own) => Instead::Write(own),
                None => Instead::Say(format!(
                    "for {} write {}",
                    quoted(format_args!("{}({})", self.name, self.args.join(", "))),
                    quoted(filled(template, self.args))
                )),
            },
            Each(several) => {
                let own = several.iter().map(|(template, what)| Some((self.own(template, &args)?, what)));
                let (several, call) = match own.collect::<Option<Vec<_>>>() {
                    Some(own) => (own, String::new()),
                    None => (
                        several.iter().map(|(template, what)| (filled(template, self.args), what)).collect(),
                        format!("for {} ", quoted(format_args!("{}({})", self.name, self.args.join(", ")))),
                    ),
                };
                let several = several.iter().map(|(own, what)| format!("{} for {what}", quoted(own)));
                Instead::Say(format!("{call}write {}", several.collect::<Vec<_>>().join(", and ")))
            }
        }
    }

    /// The template with the call's own arguments, if it has as many as the template needs.
    fn own(&self, template: &str, args: &[&str]) -> Option<String> {
        match args {
            // A type stands neither in quotes, as in other engines, nor in parentheses.
            [value, of] if template == CAST => short(format!("cast({value} as {})", of.trim_matches('\''))),
            args if args.len() == self.args.len() => short(filled(template, args)),
            _ => None,
        }
    }
}

fn short(text: String) -> Option<String> {
    (text.chars().count() <= SUGGESTION_CHARS_MAX).then_some(text)
}

/// The template with the arguments in the places of `$1`, `$2`, ….
pub(super) fn filled(template: &str, args: &[&str]) -> String {
    let mut parts = template.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (place, rest) = part.split_at(digits);
        match place.parse::<usize>().ok().and_then(|place| args.get(place.checked_sub(1)?)) {
            Some(arg) => text += &operand(arg),
            None => text += &format!("${place}"),
        }
        text += rest;
    }
    text
}

/// The argument as it stands beside operators.
pub(super) fn operand(arg: &str) -> String {
    if is_simple(arg) { arg.to_owned() } else { format!("({arg})") }
}

/// Whether the argument is a name, a number, a text or one call, which needs no parentheses.
fn is_simple(arg: &str) -> bool {
    let is_plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "_.\"".contains(c));
    match arg.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(text) => !text.contains('\''),
        None => is_plain(arg) || arg.split_once('(').is_some_and(|(name, rest)| is_plain(name) && closes_last(rest)),
    }
}

/// Whether the parenthesis before this text is closed by its last character, and not earlier.
fn closes_last(text: &str) -> bool {
    let mut open = 1;
    // A parenthesis within a text would be counted wrongly.
    !text.contains('\'')
        && text.char_indices().all(|(at, c)| {
            open += i32::from(c == '(') - i32::from(c == ')');
            open > 0 || at + 1 == text.len()
        })
        && open == 0
}
