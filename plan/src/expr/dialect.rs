//! The parser's generic dialect, with bounds on its work and on its stack.
//!
//! The parser limits its depth, but not everywhere: two thousand times `interval` overflow the stack, which ends the
//! process. Where a text does not parse, the parser goes back and reads words such as `cast` and `case` as names, again
//! at each level: twenty nested casts with an error in the innermost take a million attempts. So attempts are counted,
//! and the limit is more than any correct text needs.

use std::any::TypeId;
use std::cell::Cell;

use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion_sql::sqlparser::parser::{Parser, ParserError};

/// The most attempts to read an operand, in the whole text. A correct text takes one per operand, and a few more where
/// the parser looks ahead.
const ATTEMPTS_MAX: u32 = 100_000;

/// The most stack that parsing may use, in bytes: half of what the planner has ([`super::with_room`]).
const STACK_BYTES_MAX: usize = super::stack::STACK_BYTES / 2;

#[derive(Debug)]
pub(super) struct Bounded {
    attempts: Cell<u32>,
    /// The stack's address when parsing began.
    stack: usize,
}

impl Bounded {
    pub fn new() -> Self {
        Self { attempts: Cell::new(0), stack: place_in_stack() }
    }

    pub fn is_exhausted(&self) -> bool {
        self.attempts.get() >= ATTEMPTS_MAX
    }
}

#[inline(never)]
fn place_in_stack() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

macro_rules! as_the_generic_dialect {
    ($($name:ident),* $(,)?) => { $(fn $name(&self) -> bool { GenericDialect.$name() })* };
}

impl Dialect for Bounded {
    fn dialect(&self) -> TypeId {
        GenericDialect.dialect()
    }

    fn parse_prefix(&self, _parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        if self.is_exhausted() || self.stack.abs_diff(place_in_stack()) > STACK_BYTES_MAX {
            return Some(Err(ParserError::RecursionLimitExceeded));
        }
        self.attempts.set(self.attempts.get() + 1);
        None
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    // Spark's `map<string, int>`, where the generic dialect has `map(string, int)`.
    fn supports_map_literal_with_angle_brackets(&self) -> bool {
        true
    }

    // The settings that concern expressions.
    as_the_generic_dialect!(
        supports_unicode_string_literal,
        supports_window_function_null_treatment_arg,
        supports_dictionary_syntax,
        support_map_literal_syntax,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_extract_comma_syntax,
        supports_try_convert,
        supports_bitwise_shift_operators,
        supports_named_fn_args_with_assignment_operator,
        supports_struct_literal,
        supports_empty_projections,
        supports_from_first_select,
        supports_nested_comments,
        supports_multiline_comment_hints,
        supports_string_escape_constant,
        supports_array_typedef_with_brackets,
        supports_match_against,
        supports_filter_during_aggregation,
        supports_data_type_signed_suffix,
        supports_interval_options,
        supports_quote_delimited_string,
        supports_comma_separated_trim,
        supports_xml_expressions,
    );
}
