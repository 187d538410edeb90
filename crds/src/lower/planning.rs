//! A limit on the planning that a document may cause: the process that plans it has other work, above all the operator.

use weir_plan::expr;

use crate::finding::{Findings, Path};

/// The most bytes of all expressions together.
const BYTES_MAX: usize = 128 << 10;
/// The most [`expr::weight`] of all expressions together. Planning that much takes less than a second in a release
/// build.
const WEIGHT_MAX: u64 = 400_000;

/// Whether these expressions may be planned; checked before any of them is. If not, a finding says why, and what to do
/// `instead`.
pub(super) fn is_within_bounds<'a>(
    expressions: impl Iterator<Item = &'a str> + Clone + Send,
    at: &Path,
    instead: &str,
    out: &mut Findings,
) -> bool {
    let bytes = expressions.clone().map(str::len).sum::<usize>();
    if bytes > BYTES_MAX {
        let message =
            format!("the expressions are {bytes} bytes long together, and at most {BYTES_MAX} are allowed: {instead}");
        out.add(at, message);
        return false;
    }
    let weight = expr::weight(expressions);
    if weight > WEIGHT_MAX {
        let message = format!(
            "planning would take too long: the operators of expressions here, each counted once per level that it \
             lies deep and a function as \
             eight, come to {weight}, and at most {WEIGHT_MAX} are allowed: {instead}"
        );
        out.add(at, message);
        return false;
    }
    true
}
