//! Where the parts of a query's steps come from, so that what is wrong with them is told at its place in the query.

use weir_plan::expr::{self, TextPlace, Word};

use crate::finding::Path;

/// Where each step of an expanded document comes from.
#[derive(Debug, Default)]
pub(crate) struct Places {
    steps: Vec<Origin>,
}

#[derive(Debug)]
pub(super) enum Origin {
    /// The author's own step at this position.
    Own(usize),
    /// A step that the query at this position became.
    Query(usize, StepPlaces),
}

/// The places of a generated step's fields.
#[derive(Debug)]
pub(super) struct StepPlaces {
    /// Where the part of the query begins that the step stands for.
    pub(super) at: TextPlace,
    /// By the path of a field within the step, such as `map.columns[0].expr`.
    pub(super) fields: Vec<(Path, Spot)>,
}

#[derive(Debug)]
pub(super) enum Spot {
    /// One of the query's inputs.
    Input(usize),
    /// A part of the query, word by word.
    Words(Vec<Mark>),
}

/// A word of an expression.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    /// Where it begins in the expression's text, in characters from 1.
    pub(super) column: u64,
    pub(super) name: String,
    pub(super) at: TextPlace,
}

impl Mark {
    pub(super) fn of(word: &Word, column: u64) -> Self {
        Self { column, name: word.value.clone(), at: word.at }
    }
}

impl Places {
    pub(super) fn of(steps: Vec<Origin>) -> Self {
        Self { steps }
    }

    /// The path in the author's own document.
    pub(crate) fn written(&self, path: &Path) -> Path {
        self.told(path, String::new()).0
    }

    /// The path and the sentence for the author: a sentence about a query begins with the line and the column.
    pub(crate) fn told(&self, path: &Path, message: String) -> (Path, String) {
        let list = Path::root().field("spec").field("steps");
        let found = path.within_element_of(&list);
        let Some((origin, inner)) = found.and_then(|(i, inner)| Some((self.steps.get(i)?, inner))) else {
            return (path.clone(), message);
        };
        match origin {
            Origin::Own(step) => (list.index(*step).with(&inner), message),
            Origin::Query(step, places) => {
                let at = list.index(*step).field("sql");
                match places.spot(&inner) {
                    Some(Spot::Input(input)) => (at.field("inputs").index(*input), message),
                    Some(Spot::Words(marks)) => (at.field("query"), within(marks, places.at, &message)),
                    None => (at.field("query"), in_query(places.at, &message)),
                }
            }
        }
    }
}

impl StepPlaces {
    /// What is known of the smallest block around a field.
    fn spot(&self, field: &Path) -> Option<&Spot> {
        let around = self.fields.iter().filter(|(known, _)| field.is_within(known));
        around.max_by_key(|(known, _)| known.to_string().len()).map(|(_, spot)| spot)
    }
}

/// A sentence about a place in a query.
pub(super) fn in_query(at: TextPlace, message: &str) -> String {
    format!("line {}, column {}: {message}", at.line, at.column)
}

/// A sentence about an expression, with the place in the query of what it complains about: the place that it names, or
/// else the first word that it shows.
fn within(marks: &[Mark], otherwise: TextPlace, message: &str) -> String {
    let first = marks.first().map_or(otherwise, |mark| mark.at);
    let (sentence, place) = expr::without_place(message);
    if let Some(place) = place.filter(|place| place.line == 1) {
        let before = marks.iter().rev().find(|mark| mark.column <= place.column);
        let at =
            before.map_or(first, |mark| TextPlace { column: mark.at.column + (place.column - mark.column), ..mark.at });
        return in_query(at, &sentence);
    }
    let shown = message.split('`').nth(1).map(|shown| shown.split('(').next().unwrap_or(shown));
    let meant = shown.and_then(|shown| marks.iter().find(|mark| mark.name.eq_ignore_ascii_case(shown)));
    in_query(meant.map_or(first, |mark| mark.at), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_the_place_of_what_it_complains_about() {
        let at = |line, column| TextPlace { line, column };
        let mark = |column, name: &str, at| Mark { column, name: name.to_owned(), at };
        let marks = [mark(1, "sum", at(3, 9)), mark(4, "(", at(3, 12)), mark(5, "prise", at(4, 2))];
        let told = |message| within(&marks, at(1, 1), message);
        assert_eq!(told("there is no column `prise`"), "line 4, column 2: there is no column `prise`");
        assert_eq!(told("`SUM(…)` is an aggregate"), "line 3, column 9: `SUM(…)` is an aggregate");
        assert_eq!(told("expected `)` at character 6: close it"), "line 4, column 3: expected `)`: close it");
        assert_eq!(told("it is empty"), "line 3, column 9: it is empty");
    }
}
