//! The functions of Spark, Flink and other engines that this dialect lacks, each with what to write instead.

use super::super::built;
use super::Advice::{self, Built, Each, Lacking, Write};
use super::Habit;

const ARRAYS: &str = "it is not supported yet: `size`, `element_at`, `array_contains`, `array_distinct`, `array_join`, \
    `sort_array` and `slice` are";
const MAPS: &str = "it is not supported yet: `map_keys`, `map_values`, `map_entries`, `map_concat`, `map_contains_key` and \
    `element_at` are";
const JSON: &str =
    "write `from_json(…, 'a int, b string')` with the types of what is inside, or `get_json_object(…, '$.a')`";
const AGGREGATE: &str = "the aggregate is not supported yet: the reference of expressions lists those that are";
const A_CASE: &str = "write `case when … then … else … end`";
const A_NAME: &str = "write the name of the column alone, as in `city`";
pub(super) const CAST: &str = "cast($1 as $2)";
const PLAIN: &str = "it is not supported yet: compute it where the records are produced";
const OVER: &str = "it needs other rows, and an expression sees one: use an aggregate step";
const WINDOWS: &str = "windows are a part of a step: write `aggregate: {window: {tumbling: {size: …}}}`";
const ROWS: &str = "it gives several rows for one, which is the work of a step `unnest`";
const URLS: &str =
    "write `regexp_extract(…, '^[a-z]+://([^/:?#]+)', 1)` for the host, and other patterns for other parts";
const CODES: &str = "strings are compared by their characters' codes";
const CLOCK: &str = "its result would differ when an epoch is run again: write `_event_time` or a column";
const DIGITS: &str = "write a cast to a decimal of the digits that there are, as in `cast(… as decimal(10,2))`";
const FORMATS: &str = "join the parts by `concat(…)` or `||`, and pad numbers by `lpad(…, 5, '0')`";
const SKETCHES: &str = "there are no sketches: an aggregate step counts what there is";
const VARIANTS: &str = "there is no type `variant`: write `from_json(…, 'a int, b string')` with the types of what is inside, \
                        or `get_json_object(…, '$.a')`";
const FORMAT: &str = "the format of a record is declared at its source, and a text in a column is read as JSON alone";
const RANDOM: &str = "its result would differ when an epoch is run again: compute it where the records are produced";
const SESSIONS: &str = "a pipeline has no databases, users and sessions: write the text itself";
const JVM: &str = "no code of the JVM runs here";
const INTERVALS: &str = "write `interval '3 hours'`, and `timestampadd(HOUR, n, ts)` for a number that is computed";
const OF_A_DAY: &str = "there is no type of the time of a day: write `date_format(ts, 'HH:mm:ss')` for a text, and `hour(ts)`, \
                        `minute(ts)` and `second(ts)` for numbers";
const ENCRYPTED: &str = "a document would hold the key: encrypt where the records are produced";
const FAILS: &str = "write the condition as a `filter`, which drops the row";
const OFFSETS: &str = "write the record's own coordinates as columns, which `metadataColumns` of the source gives";

const fn habit(name: &'static str, args: &'static [&'static str], advice: Advice) -> Habit {
    Habit { name, args, advice }
}

#[rustfmt::skip]
pub(in crate::expr) const HABITS: &[Habit] = &[
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
    habit("smallint", &["city"], Write("cast($1 as int)")),
    habit("tinyint", &["city"], Write("cast($1 as int)")),
    habit("to_binary", &["city", "'utf-8'"], Lacking("write `encode(…, 'utf-8')`, `unhex(…)` or `unbase64(…)`")),
    habit("try_to_binary", &["city", "'hex'"], Lacking("write `encode(…, 'utf-8')`, or `unhex(…)`, which gives null for other texts")),
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
    habit("parse_url", &["city", "'HOST'"], Lacking(URLS)),
    habit("collate", &["city", "'UNICODE'"], Lacking(CODES)),
    habit("collation", &["city"], Lacking(CODES)),
    habit("collations", &[], Lacking(CODES)),
    habit("luhn_check", &["city"], Lacking(PLAIN)),
    habit("make_valid_utf8", &["city"], Write("$1")),
    habit("mask", &["city"], Write("regexp_replace(regexp_replace(regexp_replace($1, '\\p{Lu}', 'X'), '\\p{Ll}', 'x'), \
                                    '\\p{Nd}', 'n')")),
    habit("quote", &["city"], Lacking(PLAIN)),
    habit("try_parse_url", &["city", "'HOST'"], Lacking(URLS)),
    habit("try_validate_utf8", &["city"], Write("$1")),
    habit("validate_utf8", &["city"], Write("$1")),
    habit("xpath*", &["city", "'a/b'"], Lacking(FORMAT)),
    // Hashes.
    habit("sha224", &["city"], Write("sha2($1, 224)")),
    habit("sha256", &["city"], Write("sha2($1, 256)")),
    habit("sha384", &["city"], Write("sha2($1, 384)")),
    habit("sha512", &["city"], Write("sha2($1, 512)")),
    habit("aes_decrypt", &["data", "'key'"], Lacking(ENCRYPTED)),
    habit("aes_encrypt", &["data", "'key'"], Lacking(ENCRYPTED)),
    habit("try_aes_decrypt", &["data", "'key'"], Lacking(ENCRYPTED)),
    // Numbers.
    habit("div", &["seats", "2"], Each(&[("$1 / $2", "whole numbers")])),
    habit("bit_get", &["seats", "1"], Write("shiftright($1, $2) & 1")),
    habit("csc", &["price"], Write("1 / sin($1)")),
    habit("getbit", &["seats", "1"], Write("shiftright($1, $2) & 1")),
    habit("negative", &["seats"], Write("-$1")),
    habit("sec", &["price"], Write("1 / cos($1)")),
    habit("truncate", &["price", "2"], Write("trunc($1, $2)")),
    habit("width_bucket", &["price", "0", "10", "5"], Lacking("write a `case`, with a `when` for each bucket")),
    habit("randn", &[], Lacking(RANDOM)),
    habit("randstr", &["5"], Lacking(RANDOM)),
    habit("shuffle", &["tags"], Lacking(RANDOM)),
    habit("uniform", &["1", "2"], Lacking(RANDOM)),
    habit("vector_*", &["tags", "tags"], Lacking(PLAIN)),
    // Dates and times.
    habit("convert_tz", &["ts", "'UTC'", "'Europe/Paris'"], Write("convert_timezone($2, $3, $1)")),
    habit("current_timezone", &[], Write("'UTC'")),
    habit("curdate", &[], Lacking(CLOCK)),
    habit("current_watermark", &["ts"], Lacking(OVER)),
    habit("getdate", &[], Lacking(CLOCK)),
    habit("localtimestamp", &[], Lacking(CLOCK)),
    habit("make_time", &["10", "20", "30"], Lacking(OF_A_DAY)),
    habit("make_dt_interval", &["1"], Lacking(INTERVALS)),
    habit("make_interval", &["1"], Lacking(INTERVALS)),
    habit("make_timestamp_ltz", &["2024", "1", "31", "10", "20", "30"], Write("make_timestamp($1, $2, $3, $4, $5, $6)")),
    habit("make_timestamp_ntz", &["2024", "1", "31", "10", "20", "30"], Write("make_timestamp($1, $2, $3, $4, $5, $6)")),
    habit("make_ym_interval", &["1"], Lacking(INTERVALS)),
    habit("proctime", &[], Lacking(CLOCK)),
    habit("to_time", &["city"], Lacking(OF_A_DAY)),
    habit("time", &["city"], Lacking(OF_A_DAY)),
    habit("time_*", &["city"], Lacking(OF_A_DAY)),
    habit("to_timestamp_ltz", &["userId", "3"], Built(built::to_timestamp_ltz, "write \
        `to_timestamp_seconds(…)` or `to_timestamp_millis(…)`")),
    habit("to_timestamp_ntz", &["city"], Write("to_timestamp($1)")),
    habit("try_make_interval", &["1"], Lacking(INTERVALS)),
    habit("try_make_timestamp_ltz", &["2024", "1", "31", "10", "20", "30"], Write("try_make_timestamp($1, $2, $3, $4, $5, $6)")),
    habit("try_make_timestamp_ntz", &["2024", "1", "31", "10", "20", "30"], Write("try_make_timestamp($1, $2, $3, $4, $5, $6)")),
    habit("try_to_time", &["city"], Lacking(OF_A_DAY)),
    habit("unix_timestamp", &["ts"], Built(built::unix_timestamp, CLOCK)),
    habit("week", &["ts"], Write("weekofyear($1)")),
    // JSON, arrays and maps.
    habit("array_length", &["tags"], Write("size($1)")),
    habit("array_to_string", &["tags", "','"], Write("array_join($1, $2)")),
    habit("aggregate", &["tags"], Lacking(ARRAYS)),
    habit("filter", &["tags"], Lacking(ARRAYS)),
    habit("explode", &["tags"], Lacking(ROWS)),
    habit("explode_outer", &["tags"], Lacking(ROWS)),
    habit("flatten", &["tags"], Lacking(ARRAYS)),
    habit("forall", &["tags"], Lacking(ARRAYS)),
    habit("inline", &["tags"], Lacking(ROWS)),
    habit("json_extract", &["city", "'$.a'"], Write("get_json_object($1, $2)")),
    habit("json_extract_scalar", &["city", "'$.a'"], Write("get_json_object($1, $2)")),
    habit("json_exists", &["city", "'$.a'"], Write("get_json_object($1, $2) is not null")),
    habit("json_object", &["city"], Lacking("write `to_json(named_struct('city', city))`")),
    habit("json_query", &["city", "'$.a'"], Write("get_json_object($1, $2)")),
    habit("json_tuple", &["city", "'a'"], Lacking(JSON)),
    habit("json_value", &["city", "'$.a'"], Write("get_json_object($1, $2)")),
    habit("parse_json", &["city"], Lacking(JSON)),
    habit("posexplode", &["tags"], Lacking(ROWS)),
    habit("sequence", &["1", "2"], Lacking(ARRAYS)),
    habit("stack", &["1", "2"], Lacking(ROWS)),
    habit("transform", &["tags"], Lacking(ARRAYS)),
    habit("array_insert", &["tags", "1", "2"], Lacking(ARRAYS)),
    habit("array_repeat", &["1", "2"], Lacking(ARRAYS)),
    habit("arrays_zip", &["tags", "tags"], Lacking(ARRAYS)),
    habit("reduce", &["tags", "0"], Lacking(ARRAYS)),
    habit("zip_with", &["tags", "tags"], Lacking(ARRAYS)),
    habit("map_filter", &["tags"], Lacking(MAPS)),
    habit("map_zip_with", &["tags"], Lacking(MAPS)),
    habit("transform_keys", &["tags"], Lacking(MAPS)),
    habit("transform_values", &["tags"], Lacking(MAPS)),
    habit("inline_outer", &["tags"], Lacking(ROWS)),
    habit("posexplode_outer", &["tags"], Lacking(ROWS)),
    habit("range", &["1", "5"], Lacking(ROWS)),
    habit("variant_explode*", &["city"], Lacking(ROWS)),
    habit("is_variant_null", &["city"], Lacking(VARIANTS)),
    habit("is_valid_variant", &["city"], Lacking(VARIANTS)),
    habit("to_variant_object", &["s"], Lacking(VARIANTS)),
    habit("try_parse_json", &["city"], Lacking(VARIANTS)),
    habit("try_variant_get", &["city", "'$.a'"], Lacking(VARIANTS)),
    habit("variant_get", &["city", "'$.a'"], Lacking(VARIANTS)),
    // Other formats, and what surrounds a query.
    habit("from_avro", &["city"], Lacking(FORMAT)),
    habit("from_csv", &["city"], Lacking(FORMAT)),
    habit("from_protobuf", &["city"], Lacking(FORMAT)),
    habit("from_xml", &["city"], Lacking(FORMAT)),
    habit("schema_of_*", &["city"], Lacking(FORMAT)),
    habit("to_avro", &["city"], Lacking(FORMAT)),
    habit("to_csv", &["city"], Lacking(FORMAT)),
    habit("to_protobuf", &["city"], Lacking(FORMAT)),
    habit("to_xml", &["city"], Lacking(FORMAT)),
    habit("current_database", &[], Lacking(SESSIONS)),
    habit("current_path", &[], Lacking(SESSIONS)),
    habit("current_schema", &[], Lacking(SESSIONS)),
    habit("version", &[], Lacking(SESSIONS)),
    habit("java_method", &["'java.lang.Math'", "'abs'"], Lacking(JVM)),
    habit("reflect", &["'java.lang.Math'", "'abs'"], Lacking(JVM)),
    habit("try_reflect", &["'java.lang.Math'", "'abs'"], Lacking(JVM)),
    habit("python_worker_logs", &["'java.lang.Math'", "'abs'"], Lacking(JVM)),
    habit("assert_true", &["paid"], Lacking(FAILS)),
    habit("raise_error", &["'no'"], Lacking(FAILS)),
    habit("sql_keywords", &[], Lacking(SESSIONS)),
    habit("st_*", &["city"], Lacking(PLAIN)),
    // Aggregates.
    habit("count_if", &["paid"], Lacking("write `count(*)`, and the condition as the column's `filter`")),
    habit("mean", &["price"], Lacking("write `avg(…)`")),
    habit("mode", &["city"], Lacking(AGGREGATE)),
    habit("grouping_id", &["price"], Lacking(AGGREGATE)),
    habit("histogram_numeric", &["price"], Lacking(AGGREGATE)),
    habit("kurtosis", &["price"], Lacking(AGGREGATE)),
    habit("measure", &["price"], Lacking(AGGREGATE)),
    habit("percentile_disc", &["price"], Lacking(AGGREGATE)),
    habit("skewness", &["price"], Lacking(AGGREGATE)),
    habit("try_avg", &["price"], Lacking(AGGREGATE)),
    habit("try_sum", &["price"], Lacking(AGGREGATE)),
    habit("approx_top_k*", &["city"], Lacking(SKETCHES)),
    habit("bitmap_*", &["city"], Lacking(SKETCHES)),
    habit("count_min_sketch", &["city"], Lacking(SKETCHES)),
    habit("hll_*", &["city"], Lacking(SKETCHES)),
    habit("kll_*", &["city"], Lacking(SKETCHES)),
    habit("theta_*", &["city"], Lacking(SKETCHES)),
    habit("tuple_*", &["city"], Lacking(SKETCHES)),
    // Window functions over other rows.
    habit("dense_rank", &[], Lacking(OVER)),
    habit("lag", &["city"], Lacking(OVER)),
    habit("lead", &["city"], Lacking(OVER)),
    habit("ntile", &["4"], Lacking(OVER)),
    habit("cume_dist", &[], Lacking(OVER)),
    habit("nth_value", &["city", "2"], Lacking(OVER)),
    habit("percent_rank", &[], Lacking(OVER)),
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
    habit("input_file_block_*", &[], Lacking(OFFSETS)),
    habit("monotonically_increasing_id", &[], Lacking(OFFSETS)),
    habit("spark_partition_id", &[], Lacking(OFFSETS)),
];
