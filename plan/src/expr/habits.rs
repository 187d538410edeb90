//! What to write instead of functions and operators that other SQL dialects have and this one lacks. Suggesting a name
//! that is spelled similarly (`md5`, `min`) does not help: the user did not mistype.

mod table;

use super::context::CONTEXT;
use crate::quote::quoted;

use Advice::{Built, Each, Lacking, Write};
use table::CAST;
pub(super) use table::HABITS;

/// A function of Spark, Flink or another engine that this dialect lacks.
pub(super) struct Habit {
    /// A `*` at the end stands for any rest.
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

/// The most characters of a suggestion with the user's arguments.
pub(super) const SUGGESTION_CHARS_MAX: usize = 150;

/// The message that there is no such function and what to write instead; `None` if other engines do not have it either.
pub(super) fn no_such_function(name: &str, args: &[String]) -> Option<String> {
    let name = name.to_lowercase();
    if CONTEXT.has_function(&name) {
        return None;
    }
    let habit = HABITS.iter().find(|habit| habit.is_of(&name))?;
    let instead = match habit.instead(args) {
        Instead::Write(own) => format!("write {}", quoted(own)),
        Instead::Say(sentence) => sentence,
    };
    Some(format!("there is no function {}: {instead}", quoted(name)))
}

impl Habit {
    /// Whether this is about a function of this name. A name with `*` at its end stands for all that begin so.
    fn is_of(&self, name: &str) -> bool {
        self.name.strip_suffix('*').map_or(self.name == name, |start| name.starts_with(start))
    }

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
