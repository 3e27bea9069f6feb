//! Directives of a log filter, in the syntax of `tracing_subscriber::EnvFilter`: `target[span{field=value}]=level`.
//!
//! Every part but one may be missing. The differences to `EnvFilter`:
//!
//! - A value is compared as text, in which `*` (or `.*`) stands for any text. Regular expressions are refused; in quotes
//!   (`"a+b"`) every character stands for itself, and a comma or a space may be part of the value.
//! - `-` in a target also stands for `_`: `my-crate=debug` is for the targets of the crate `my-crate`, which are `my_crate`.
//! - Directives with a mistake in them are refused with the reason, where `EnvFilter` has them match nothing.

use crate::text::Escaper;
use std::fmt::{self, Write as _};
use tracing_core::LevelFilter;

/// One directive.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Directive {
    pub(super) target: Option<String>,
    /// The name of a span, or the end of an observed function's path.
    pub(super) span: Option<String>,
    pub(super) fields: Vec<FieldMatch>,
    pub(super) level: LevelFilter,
}

/// A field that a span has to have, and the value of that, if one is given.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FieldMatch {
    pub(super) name: String,
    pub(super) value: Option<ValueMatch>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ValueMatch {
    pub(super) text: String,
    /// Whether it was in quotes, and `*` stands for itself.
    pub(super) literal: bool,
}

/// A directive with a mistake, and how to write it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    directive: String,
    /// The rest of a sentence that begins with the directive.
    why: String,
    /// Whether it is a word alone, which may have been meant as the level of everything.
    pub(super) is_word: bool,
}

impl Problem {
    pub(super) fn new(directive: &str, why: impl Into<String>) -> Self {
        let is_word = !directive.contains(['=', '[', '{']);
        Self { directive: directive.to_owned(), why: why.into(), is_word }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "`{}` {}", self.directive, self.why)
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, span, fields, level } = self;
        f.write_str(target.as_deref().unwrap_or_default())?;
        if self.is_for_spans() {
            write!(f, "[{}", span.as_deref().unwrap_or_default())?;
            for (i, field) in fields.iter().enumerate() {
                write!(f, "{}{field}", if i == 0 { '{' } else { ',' })?;
            }
            f.write_str(if fields.is_empty() { "]" } else { "}]" })?;
        }
        let equals = if target.is_some() || self.is_for_spans() { "=" } else { "" };
        write!(f, "{equals}{level}")
    }
}

impl fmt::Display for FieldMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.value {
            Some(value) if value.literal => {
                write!(f, "=\"{}\"", value.text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Some(value) => write!(f, "={}", value.text),
            None => Ok(()),
        }
    }
}

impl Directive {
    /// Whether it is for spans by their names or fields, and not for all of a target.
    pub(super) fn is_for_spans(&self) -> bool {
        self.span.is_some() || !self.fields.is_empty()
    }

    /// Reads one directive.
    pub(super) fn parse(part: &str) -> Result<Self, Problem> {
        read(part).map_err(|why| Problem::new(part, why))
    }
}

/// The directives of a list, less those that are empty.
///
/// Commas in brackets and quotes separate nothing, unless those are not closed.
pub(super) fn split(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = list;
    loop {
        let end = end_of_directive(rest).or_else(|| rest.find(',')).unwrap_or(rest.len());
        parts.push(rest[..end].trim());
        match rest.get(end + 1..) {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Where the first directive of a list ends. `None` if a bracket or a quote in it is not closed.
fn end_of_directive(list: &str) -> Option<usize> {
    let mut scan = Scan::default();
    for (i, c) in list.char_indices() {
        // A directive may be in quotes, and a value within brackets.
        let may_quote = scan.depth > 0 || list[..i].trim().is_empty();
        if scan.step(c, may_quote) && c == ',' && scan.depth == 0 {
            return Some(i);
        }
    }
    (scan.depth == 0 && scan.quote.is_none()).then_some(list.len())
}

/// Follows brackets and quotes from character to character.
#[derive(Default)]
struct Scan {
    depth: usize,
    quote: Option<char>,
    escaped: bool,
}

impl Scan {
    /// Whether the character stands outside of quotes.
    fn step(&mut self, c: char, may_quote: bool) -> bool {
        if let Some(quote) = self.quote {
            if c == quote && !self.escaped {
                self.quote = None;
            }
            self.escaped = c == '\\' && !self.escaped;
            return false;
        }
        match c {
            '"' | '\'' if may_quote => {
                (self.quote, self.escaped) = (Some(c), false);
                return false;
            }
            '[' | '{' => self.depth += 1,
            ']' | '}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        true
    }
}

/// Positions of a character outside of quotes.
fn outside_quotes(text: &str, wanted: char) -> Vec<usize> {
    let mut scan = Scan::default();
    text.char_indices().filter(|(_, c)| scan.step(*c, true) && *c == wanted).map(|(i, _)| i).collect()
}

/// The text in a pair of quotes, if it is in one.
pub(super) fn in_quotes(text: &str) -> Option<&str> {
    ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}

fn read(part: &str) -> Result<Directive, String> {
    if let Some((target, behind)) = part.split_once('[') {
        let close = *outside_quotes(behind, ']').last().ok_or("has a bracket that is not closed")?;
        let (inside, level) = (behind[..close].trim(), behind[close + 1..].trim());
        let level = match level.strip_prefix('=') {
            Some(level) => read_level(level, part)?,
            None if level.is_empty() => LevelFilter::TRACE,
            None => return Err("has text behind its brackets: write `[span{field=value}]=level`".to_owned()),
        };
        if level == LevelFilter::OFF {
            return Err(
                "is for a span, where more lines can be written and not fewer: leave it out".to_owned()
            );
        }
        let (span, fields) = read_span(inside)?;
        let target = Some(target.trim()).filter(|target| !target.is_empty());
        target.map_or(Ok(()), check_target)?;
        return Ok(Directive { target: target.map(str::to_owned), span, fields, level });
    }
    let of_target = |target: &str, level: Option<&str>| {
        check_target(target)?;
        let level = level.map_or(Ok(LevelFilter::TRACE), |level| read_level(level, target))?;
        Ok(Directive { target: Some(target.to_owned()), span: None, fields: Vec::new(), level })
    };
    match part.split_once('=') {
        Some((target, _)) if target.trim().is_empty() => {
            Err("has no target: write `target=level`, or the level alone".to_owned())
        }
        Some((target, level)) => of_target(target.trim(), Some(level)),
        None => match level_of(part) {
            Some(level) => Ok(Directive { target: None, span: None, fields: Vec::new(), level }),
            None if is_meant_as_a_level(part) => {
                Err(format!("is no level, and as a target it is `{part}=trace`"))
            }
            None => of_target(part, None),
        },
    }
}

/// Reads `span`, `{field}`, `span{field=value,field="value"}`.
fn read_span(inside: &str) -> Result<(Option<String>, Vec<FieldMatch>), String> {
    let (span, fields) = match inside.split_once('{') {
        Some((span, fields)) => {
            let fields = fields.strip_suffix('}').ok_or("has a brace that is not closed")?;
            (span.trim(), read_fields(fields)?)
        }
        None => (inside, Vec::new()),
    };
    if span.is_empty() && fields.is_empty() {
        return Err("has nothing in its brackets: write `[span]` or `[{field=value}]`".to_owned());
    }
    if let Some(strange) = span.chars().find(|c| "}]=,\"'".contains(*c) || c.is_control()) {
        return Err(format!(
            "has {strange:?} in the name of a span: fields stand in braces, `[span{{field=value}}]`"
        ));
    }
    Ok((Some(span.to_owned()).filter(|span| !span.is_empty()), fields))
}

fn read_fields(fields: &str) -> Result<Vec<FieldMatch>, String> {
    let mut start = 0;
    let ends = outside_quotes(fields, ',').into_iter().chain([fields.len()]);
    ends.map(|end| {
        let field = fields[start..end].trim();
        start = end + 1;
        let (name, value) = match field.split_once('=') {
            Some((name, value)) => (name.trim(), Some(read_value(value.trim())?)),
            None => (field, None),
        };
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || "\"'{}[]".contains(c)) {
            return Err("has a field without a name: write `[{field}]` or `[{field=value}]`".to_owned());
        }
        Ok(FieldMatch { name: name.to_owned(), value })
    })
    .collect()
}

fn read_value(value: &str) -> Result<ValueMatch, String> {
    if let Some(quoted) = in_quotes(value) {
        let mut text = String::new();
        let mut chars = quoted.chars();
        while let Some(c) = chars.next() {
            text.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
        }
        return Ok(ValueMatch { text, literal: true });
    }
    if value.is_empty() {
        return Err(
            "has a field without a value: write `[{field}]`, or `[{field=\"\"}]` for an empty one".to_owned()
        );
    }
    if value.contains(['^', '$', '|', '(', ')', '[', ']', '+', '?', '\\', '{', '}', '"']) {
        return Err(
            "has a regular expression for a value: write `*` for any text, or the value in quotes".to_owned()
        );
    }
    // What `EnvFilter` takes for any text.
    Ok(ValueMatch { text: value.replace(".*", "*"), literal: false })
}

/// A target is the path of a module, or a name that events were given in its place.
fn check_target(target: &str) -> Result<(), String> {
    let (head, tail) = target.rsplit_once([':', '/']).unwrap_or((target, ""));
    if !head.ends_with(':')
        && (level_of(tail).is_some() || (target.contains('/') && level_of(head).is_some()))
    {
        return Err("is no target: write `target=level`".to_owned());
    }
    let strange = |c: &char| !c.is_alphanumeric() && !"_:.-/@".contains(*c);
    match target.chars().find(strange) {
        Some(c) if c.is_whitespace() || c == ';' => {
            Err(format!("has {c:?} in it: directives are separated by commas"))
        }
        Some(c) => Err(format!("has {c:?} in it: a target is a module's path, and takes in all below it")),
        None => Ok(()),
    }
}

fn read_level(level: &str, of: &str) -> Result<LevelFilter, String> {
    let level = level.trim();
    match level_of(level) {
        Some(level) => Ok(level),
        None if level.is_empty() => {
            let of = of.trim_end_matches(['=', ' ']);
            Err(format!("has no level: write `{of}=debug`, or `{of}` for all levels"))
        }
        None => Err(format!("has no level in {level:?}: write off, error, warn, info, debug or trace")),
    }
}

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// The level of that name, in letters of either case, or of that number, 0 (off) to 5 (trace).
fn level_of(text: &str) -> Option<LevelFilter> {
    let number = text.parse().ok().filter(|_| text.len() == 1);
    let is_it = |(place, (name, _)): &(usize, &(&str, LevelFilter))| {
        name.eq_ignore_ascii_case(text) || Some(*place) == number
    };
    LEVELS.iter().enumerate().find(is_it).map(|(_, (_, level))| *level)
}

/// Whether a word alone is far more likely a slip in the name of a level than the name of a crate: two letters are
/// exchanged, one is missing behind the first, or one is doubled; or it is a level's name elsewhere.
fn is_meant_as_a_level(word: &str) -> bool {
    const ELSEWHERE: [&str; 10] =
        ["warning", "err", "fatal", "critical", "verbose", "none", "all", "on", "true", "false"];
    let word = word.to_ascii_lowercase();
    let is_slip = |name: &str| {
        let letters: Vec<char> = name.chars().collect();
        let slips = (0..letters.len()).flat_map(|i| {
            let mut exchanged = letters.clone();
            exchanged.swap(i, (i + 1).min(letters.len() - 1));
            let (mut missing, mut doubled) = (letters.clone(), letters.clone());
            missing.remove(i.max(1));
            doubled.insert(i, letters[i]);
            [exchanged, missing, doubled]
        });
        slips.into_iter().any(|slip| word.chars().eq(slip))
    };
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    is_number || ELSEWHERE.contains(&&*word) || LEVELS.iter().any(|(name, _)| is_slip(name))
}

#[cfg(test)]
mod tests;
