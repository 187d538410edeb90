//! Java's regular expressions, which are Spark's, as Rust's. The syntax is much the same, but the same sign may mean
//! another thing: `\d` is any alphabet's digit in Rust and one of ten in Java, `.` stands for a `\r`, `(?i)` knows all
//! alphabets, and `a++` is a repeated repetition. What Rust's engine can't do is refused.

use regex::Regex;

/// The line ends of Java, for which a `.` does not stand.
const LINE_ENDS: &str = "\\n\\r\\x{85}\\x{2028}\\x{2029}";

/// The compiled pattern, with flags (`i`, `m`, `s`, `x`) as they stand in `(?…)`; or what is wrong with it.
pub(crate) fn compiled(pattern: &str, flags: &str) -> Result<Regex, String> {
    let mut rust = Translation { rest: pattern, rust: String::new(), modes: vec![Modes::default()], may_repeat: false };
    rust.set_flags(flags, true)?;
    rust.pattern()?;
    Regex::new(&rust.rust).map_err(|why| fault(&why))
}

/// What the engine finds wrong, without its picture of the place.
fn fault(why: &regex::Error) -> String {
    let text = why.to_string();
    text.rsplit_once("error: ").map_or(text.as_str(), |(_, fault)| fault).trim().to_owned()
}

#[derive(Clone, Copy, Default)]
struct Modes {
    ignores_case: bool,
    /// Whether `(?u)` makes `(?i)` know all alphabets.
    knows_alphabets: bool,
    dot_is_all: bool,
    ignores_space: bool,
}

struct Translation<'p> {
    rest: &'p str,
    rust: String,
    /// The modes of each open group.
    modes: Vec<Modes>,
    /// Whether a repetition stands before the next sign, so that a `+` there makes it possessive.
    may_repeat: bool,
}

impl Translation<'_> {
    fn modes(&mut self) -> &mut Modes {
        if self.modes.is_empty() {
            self.modes.push(Modes::default());
        }
        let last = self.modes.len() - 1;
        &mut self.modes[last]
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn set_flags(&mut self, flags: &str, is_outer: bool) -> Result<(), String> {
        let mut is_on = true;
        let mut passed = String::new();
        for flag in flags.chars() {
            match flag {
                '-' => is_on = false,
                'i' => self.modes().ignores_case = is_on,
                'u' => self.modes().knows_alphabets = is_on,
                's' => self.modes().dot_is_all = is_on,
                'x' => self.modes().ignores_space = is_on,
                'm' => passed = if is_on { "mR".to_owned() } else { "-mR".to_owned() },
                'd' => return Err("the flag `d` (lines of Unix) is not supported".to_owned()),
                other => return Err(format!("there is no flag `{other}`: there are i, m, s, x and u")),
            }
        }
        if is_outer && !passed.is_empty() {
            self.rust += &format!("(?{passed})");
        } else {
            self.rust += &passed;
        }
        Ok(())
    }

    fn pattern(&mut self) -> Result<(), String> {
        while let Some(sign) = self.next() {
            let repeated = std::mem::take(&mut self.may_repeat);
            match sign {
                '\\' => self.escape()?,
                '[' => {
                    let class = self.class()?;
                    self.rust += &class;
                }
                '.' if self.modes().dot_is_all => self.rust += "(?s:.)",
                '.' => self.rust += &format!("[^{LINE_ENDS}]"),
                '(' => self.group()?,
                ')' => {
                    if self.modes.len() > 1 {
                        self.modes.pop();
                    }
                    self.rust.push(')');
                }
                '+' if repeated => {
                    return Err(
                        "a possessive repetition, such as `a++`, is not supported: write `a+`, which may give \
                                back what it took"
                            .to_owned(),
                    );
                }
                '*' | '+' | '?' => {
                    self.rust.push(sign);
                    // After `?` of `a+?` nothing more may follow.
                    self.may_repeat = !repeated;
                }
                '{' => self.count()?,
                '#' if self.modes().ignores_space => while self.next().is_some_and(|c| c != '\n') {},
                space if space.is_ascii_whitespace() && self.modes().ignores_space => {}
                '|' | '^' => self.rust.push(sign),
                // Without `m`, a `$` also stands before a line end at the end of the text in Java.
                '$' => self.rust.push('$'),
                sign => self.literal(sign),
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), String> {
        let Some((count, rest)) = self.rest.split_once('}') else { return Err("`{` without `}`".to_owned()) };
        if count.is_empty() || !count.chars().all(|c| c.is_ascii_digit() || c == ',') {
            return Err(format!("`{{{count}}}` is no count: write `\\{{` for the sign itself"));
        }
        self.rust += &format!("{{{count}}}");
        self.rest = rest;
        self.may_repeat = true;
        Ok(())
    }

    fn literal(&mut self, sign: char) {
        let folds = self.modes().ignores_case;
        if folds && self.modes().knows_alphabets && sign.is_alphabetic() {
            self.rust += &format!("(?i:{sign})");
        } else if folds && sign.is_ascii_alphabetic() {
            self.rust += &format!("[{}{}]", sign.to_ascii_lowercase(), sign.to_ascii_uppercase());
        } else {
            self.rust += &escaped(sign);
        }
    }

    fn group(&mut self) -> Result<(), String> {
        let modes = *self.modes();
        if !self.eat("?") {
            self.rust.push('(');
            self.modes.push(modes);
            return Ok(());
        }
        for look in ["=", "!", "<=", "<!"] {
            if self.rest.starts_with(look) {
                return Err(
                    "look-ahead and look-behind, `(?=…)`, `(?!…)`, `(?<=…)` and `(?<!…)`, are not supported".to_owned()
                );
            }
        }
        if self.rest.starts_with('>') {
            return Err("a group that gives nothing back, `(?>…)`, is not supported: write `(?:…)`".to_owned());
        }
        if self.rest.starts_with('<') || self.rest.starts_with("P<") {
            let name = self.rest.split_once('>').map_or("", |(name, _)| name);
            self.rust += &format!("(?{name}>");
            self.rest = self.rest.get(name.len() + 1..).unwrap_or_default();
            self.modes.push(modes);
            return Ok(());
        }
        let end = self.rest.find([':', ')']).ok_or("`(?` without `)`")?;
        let flags = &self.rest[..end];
        let is_group = self.rest[end..].starts_with(':');
        self.rest = &self.rest[end + 1..];
        self.rust += "(?";
        if is_group {
            self.modes.push(modes);
        }
        let before = self.rust.len();
        self.set_flags(flags, false)?;
        let is_empty = self.rust.len() == before;
        match (is_group, is_empty) {
            (true, _) => self.rust.push(':'),
            (false, true) => self.rust.truncate(before - 2),
            (false, false) => self.rust.push(')'),
        }
        Ok(())
    }

    /// An escape outside of a class.
    fn escape(&mut self) -> Result<(), String> {
        let Some(sign) = self.next() else { return Err("the pattern ends with a backslash".to_owned()) };
        match sign {
            'Q' => {
                let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                let quoted = quoted.to_owned();
                self.rest = rest;
                for sign in quoted.chars() {
                    self.literal(sign);
                }
            }
            'b' => self.rust += "\\b",
            'B' => self.rust += "\\B",
            'A' => self.rust += "\\A",
            'z' => self.rust += "\\z",
            'R' => self.rust += "(?:\\r\\n|[\\n\\x0B\\f\\r\\x{85}\\x{2028}\\x{2029}])",
            'Z' | 'G' | 'X' | 'k' | 'N' => return Err(format!("`\\{sign}` is not supported")),
            '1'..='9' => {
                return Err(format!(
                    "`\\{sign}` refers to a group, and patterns can't: compare what groups have found"
                ));
            }
            sign => match self.class_escape(sign)? {
                Escape::Class(class) => self.rust += &format!("[{class}]"),
                Escape::Sign(sign) => self.literal(sign),
            },
        }
        Ok(())
    }

    /// An escape that stands for one sign, or for a class of them, which then is the inside of brackets.
    fn class_escape(&mut self, sign: char) -> Result<Escape, String> {
        let class = |class: &str| Ok(Escape::Class(class.to_owned()));
        match sign {
            'd' => class("0-9"),
            'D' => class("[^0-9]"),
            'w' => class("0-9A-Z_a-z"),
            'W' => class("[^0-9A-Z_a-z]"),
            's' => class("\\t\\n\\x0B\\f\\r\\x20"),
            'S' => class("[^\\t\\n\\x0B\\f\\r\\x20]"),
            'h' => class("\\t\\x20\\xA0\\x{1680}\\x{180e}\\x{2000}-\\x{200a}\\x{202f}\\x{205f}\\x{3000}"),
            'H' => class("[^\\t\\x20\\xA0\\x{1680}\\x{180e}\\x{2000}-\\x{200a}\\x{202f}\\x{205f}\\x{3000}]"),
            'v' => class("\\n\\x0B\\f\\r\\x{85}\\x{2028}\\x{2029}"),
            'V' => class("[^\\n\\x0B\\f\\r\\x{85}\\x{2028}\\x{2029}]"),
            'p' | 'P' => Ok(Escape::Class(self.property(sign == 'P')?)),
            't' => Ok(Escape::Sign('\t')),
            'n' => Ok(Escape::Sign('\n')),
            'r' => Ok(Escape::Sign('\r')),
            'f' => Ok(Escape::Sign('\x0C')),
            'a' => Ok(Escape::Sign('\x07')),
            'e' => Ok(Escape::Sign('\x1B')),
            'x' if self.rest.starts_with('{') => {
                let (digits, rest) = self.rest[1..].split_once('}').ok_or("`\\x{` without `}`")?;
                self.rest = rest;
                code(digits, 16)
            }
            'x' => self.digits(2, 16),
            'u' => self.digits(4, 16),
            '0' => {
                let count = self.rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let count = if count == 3 && !self.rest.starts_with(['0', '1', '2', '3']) { 2 } else { count };
                self.digits(count, 8)
            }
            letter if letter.is_ascii_alphanumeric() => Err(format!("`\\{letter}` is no escape")),
            sign => Ok(Escape::Sign(sign)),
        }
    }

    fn digits(&mut self, count: usize, radix: u32) -> Result<Escape, String> {
        let (digits, rest) = self.rest.split_at_checked(count).ok_or("an escape lacks digits")?;
        self.rest = rest;
        code(digits, radix)
    }

    /// `\p{…}`: the inside of brackets.
    fn property(&mut self, is_negated: bool) -> Result<String, String> {
        let name = if self.eat("{") {
            let (name, rest) = self.rest.split_once('}').ok_or("`\\p{` without `}`")?;
            self.rest = rest;
            name.to_owned()
        } else {
            self.next().map(String::from).ok_or("`\\p` without a name")?
        };
        let ascii = match name.as_str() {
            "Lower" => "a-z",
            "Upper" => "A-Z",
            "ASCII" => "\\x00-\\x7F",
            "Alpha" => "A-Za-z",
            "Digit" => "0-9",
            "Alnum" => "0-9A-Za-z",
            "Punct" => "!-/:-@\\[-`{-~",
            "Graph" => "!-~",
            "Print" => "\\x20-~",
            "Blank" => "\\x20\\t",
            "Cntrl" => "\\x00-\\x1F\\x7F",
            "XDigit" => "0-9A-Fa-f",
            "Space" => "\\t\\n\\x0B\\f\\r\\x20",
            _ => "",
        };
        if !ascii.is_empty() {
            let folded =
                if self.modes().ignores_case && ["Lower", "Upper"].contains(&&*name) { "A-Za-z" } else { ascii };
            return Ok(if is_negated { format!("[^{folded}]") } else { folded.to_owned() });
        }
        if name.starts_with("java") || name.starts_with("In") {
            return Err(format!("`\\p{{{name}}}` is not supported: write a property of Unicode, as in `\\p{{L}}`"));
        }
        let unicode = name.strip_prefix("Is").unwrap_or(&name);
        Ok(format!("\\{}{{{unicode}}}", if is_negated { 'P' } else { 'p' }))
    }

    /// A class in brackets, behind its `[`.
    fn class(&mut self) -> Result<String, String> {
        let mut class = String::from("[");
        if self.eat("^") {
            class.push('^');
        }
        let mut is_first = true;
        loop {
            let Some(sign) = self.next() else { return Err("unclosed character class".to_owned()) };
            match sign {
                ']' if !is_first => break,
                '[' if self.rest.starts_with(':') => {
                    return Err(
                        "a class of POSIX such as `[[:alpha:]]` means other things in Java: write `\\p{Alpha}`"
                            .to_owned(),
                    );
                }
                '[' => class += &self.class()?,
                '&' if self.eat("&") => class += "&&",
                sign => {
                    let from = match sign {
                        '\\' => match self.rest.strip_prefix('Q') {
                            Some(_) => return Err("`\\Q` in brackets is not supported".to_owned()),
                            None => {
                                let sign = self.next().ok_or("the pattern ends with a backslash")?;
                                match self.class_escape(sign)? {
                                    Escape::Sign(sign) => sign,
                                    Escape::Class(inner) => {
                                        class += &inner;
                                        is_first = false;
                                        continue;
                                    }
                                }
                            }
                        },
                        sign => sign,
                    };
                    let to = self.range_end()?.unwrap_or(from);
                    self.range(from, to, &mut class)?;
                }
            }
            is_first = false;
        }
        class.push(']');
        Ok(class)
    }

    /// The sign behind a `-`, if that makes a range.
    fn range_end(&mut self) -> Result<Option<char>, String> {
        let Some(rest) = self.rest.strip_prefix('-') else { return Ok(None) };
        if rest.starts_with([']', '[']) || rest.is_empty() {
            return Ok(None);
        }
        self.rest = rest;
        match self.next() {
            Some('\\') => {
                let sign = self.next().ok_or("the pattern ends with a backslash")?;
                match self.class_escape(sign)? {
                    Escape::Sign(sign) => Ok(Some(sign)),
                    Escape::Class(_) => Err("a range ends with a class".to_owned()),
                }
            }
            sign => Ok(sign),
        }
    }

    fn range(&mut self, from: char, to: char, class: &mut String) -> Result<(), String> {
        if from > to {
            return Err(format!("the range `{from}-{to}` is the wrong way round"));
        }
        let mut push = |from: char, to: char| {
            *class += &escaped(from);
            if to > from {
                *class += &format!("-{}", escaped(to));
            }
        };
        push(from, to);
        if self.modes().ignores_case {
            for (first, last, turn) in
                [('a', 'z', char::to_ascii_uppercase as fn(&char) -> char), ('A', 'Z', char::to_ascii_lowercase)]
            {
                let (first, last) = (from.max(first), to.min(last));
                if first <= last {
                    push(turn(&first), turn(&last));
                }
            }
        }
        Ok(())
    }
}

enum Escape {
    Sign(char),
    /// The inside of brackets.
    Class(String),
}

fn code(digits: &str, radix: u32) -> Result<Escape, String> {
    let sign = u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    sign.map(Escape::Sign).ok_or_else(|| format!("`{digits}` is no code of a character"))
}

/// The sign as itself, in brackets and outside of them.
fn escaped(sign: char) -> String {
    if sign.is_ascii_alphanumeric() || sign == '_' || !sign.is_ascii() {
        return sign.to_string();
    }
    format!("\\x{:02X}", u32::from(sign))
}
