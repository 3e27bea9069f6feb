//! The labels of observed functions as texts, and the order of series that follows from them.

use crate::store::{FunctionSnapshot, Shape, outcome};
use std::borrow::Cow;
use std::iter;

const FUNCTION: &str = "function";
const OUTCOME: &str = "outcome";
const ERROR: &str = "error";

/// The labels of the functions of one name.
///
/// A series has `function`, `outcome`, labels of its own by name, and `error`, less those that are empty.
/// Series are in the order of these lists of names and texts.
pub(super) struct Labels {
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "text has it in `head`"))]
    function: &'static str,
    /// `function=".."`
    head: String,
    /// What any of the functions has besides `function`, in order. The last is `error`.
    columns: Vec<Column>,
}

/// One label.
struct Column {
    name: &'static str,
    /// What it adds to a series' order where it is absent, and the next label has a later name.
    order_of_next: u128,
    /// For each function, how it is read off the number of a series.
    digits: Vec<Digit>,
}

/// A digit of a series' number, which is one in mixed radix.
struct Digit {
    weight: usize,
    /// `None` where the label is absent.
    values: Vec<Option<Value>>,
}

struct Value {
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "text has it in `pair`"))]
    text: Cow<'static, str>,
    /// `,name="text"`, escaped.
    pair: String,
    /// What it adds to a series' order.
    order: u128,
}

/// Which labels a metric shows.
#[derive(Clone, Copy)]
pub(super) enum Detail {
    /// `function` alone.
    Function,
    /// All but `error`.
    Outcome,
    All,
}

impl Labels {
    /// Of functions that have the same name.
    pub(super) fn new(functions: &[&FunctionSnapshot]) -> Self {
        let function = functions.first().map_or("", |function| function.site.function());
        let declared: Vec<Vec<Declared>> = functions.iter().map(|function| declared(function)).collect();
        let mut names: Vec<&str> = declared.iter().flatten().map(|label| label.name).collect();
        names.sort_unstable_by_key(|name| (*name != OUTCOME, *name == ERROR, *name));
        names.dedup();
        // The last one counts least.
        let mut weight = 1;
        let columns = names.into_iter().rev().map(|name| Column::new(name, &declared, &mut weight));
        let mut columns: Vec<Column> = columns.collect();
        columns.reverse();
        Self { function, head: pair(FUNCTION, function).split_off(1), columns }
    }

    /// The labels of a series of one of the functions.
    pub(super) fn of(&self, function: usize, series: usize, detail: Detail) -> SeriesLabels<'_> {
        SeriesLabels { labels: self, function, series, detail }
    }
}

impl Column {
    /// Of a label that some of the functions have. Its values count in multiples of `weight`, which becomes more
    /// than all columns up to this one can add.
    fn new(name: &'static str, declared: &[Vec<Declared>], weight: &mut u128) -> Self {
        let functions: Vec<Option<&Declared>> =
            declared.iter().map(|labels| labels.iter().find(|label| label.name == name)).collect();
        let texts = functions.iter().flatten().flat_map(|label| &label.texts).flatten();
        let mut sorted: Vec<&str> = texts.map(|text| &**text).collect();
        sorted.sort_unstable();
        sorted.dedup();
        // Before and behind the texts are places for where it is absent.
        let absent = functions.iter().any(|label| label.is_none_or(|label| label.texts.contains(&None)));
        let first = u128::from(absent);
        let rank = |text: &str| first + sorted.partition_point(|other| *other < text) as u128;
        let value = |text: &Cow<'static, str>| Value {
            text: text.clone(),
            pair: pair(name, text),
            order: rank(text) * *weight,
        };
        let digits = functions.iter().map(|label| {
            label.map_or(Digit { weight: 1, values: vec![None] }, |label| Digit {
                weight: label.weight,
                values: label.texts.iter().map(|text| text.as_ref().map(value)).collect(),
            })
        });
        let digits = digits.collect();
        let last = first + sorted.len() as u128;
        let column = Self { name, order_of_next: last * *weight, digits };
        *weight *= last + first;
        column
    }
}

impl Digit {
    fn value(&self, series: usize) -> Option<&Value> {
        self.values[series / self.weight % self.values.len()].as_ref()
    }
}

/// The labels of one series.
#[derive(Clone, Copy)]
pub(super) struct SeriesLabels<'a> {
    labels: &'a Labels,
    function: usize,
    series: usize,
    detail: Detail,
}

impl<'a> SeriesLabels<'a> {
    fn all(self) -> impl DoubleEndedIterator<Item = (&'a Column, Option<&'a Value>)> {
        let Self { labels, function, series, detail } = self;
        let shown = match detail {
            Detail::Function => 0,
            Detail::Outcome => labels.columns.len() - 1,
            Detail::All => labels.columns.len(),
        };
        labels.columns[..shown].iter().map(move |column| (column, column.digits[function].value(series)))
    }

    /// A number that is equal for equal labels of functions of one name, and in their order.
    pub(super) fn order(self) -> u128 {
        let (mut order, mut next) = (0, None);
        for (column, value) in self.all().rev() {
            order += match value {
                Some(value) => value.order,
                // The next one stands in its place, and is compared by name.
                None if next > Some(column.name) => column.order_of_next,
                None => 0,
            };
            next = value.map_or(next, |_| Some(column.name));
        }
        order
    }

    /// Appends `function="..",outcome="..",..`, escaped.
    pub(super) fn write(self, out: &mut String) {
        out.push_str(&self.labels.head);
        self.all().filter_map(|(_, value)| value).for_each(|value| out.push_str(&value.pair));
    }

    /// Names and texts, as they are.
    #[cfg(feature = "otlp")]
    pub(super) fn texts(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let others = self.all().filter_map(|(column, value)| Some((column.name, &*value?.text)));
        iter::once((FUNCTION, self.labels.function)).chain(others)
    }
}

/// A label of one function, as it was declared.
struct Declared {
    name: &'static str,
    weight: usize,
    texts: Vec<Option<Cow<'static, str>>>,
}

fn declared(function: &FunctionSnapshot) -> Vec<Declared> {
    let (spec, shape) = (&function.site.spec, function.shape);
    let outcomes = 0..shape.outcomes;
    let kind = |outcome: usize| {
        let kind = outcome.checked_sub(outcome::FIRST_ERROR).filter(|_| outcome < shape.panic())?;
        Some((spec.error_kinds?.value)(kind))
    };
    let name = |outcome: usize| Some(Cow::Borrowed(outcome_name(shape, outcome)));
    let mut labels = vec![
        Declared { name: OUTCOME, weight: 1, texts: outcomes.clone().map(name).collect() },
        Declared { name: ERROR, weight: 1, texts: outcomes.map(kind).collect() },
    ];
    let mut weight = shape.outcomes;
    let of_result = spec.result_labels.iter().rev().map(|label| (label, 1));
    for (label, absent) in of_result.chain(spec.labels.iter().rev().map(|label| (label, 0))) {
        let known = (0..label.cardinality).map(|value| Some((label.value)(value)));
        let texts: Vec<_> = known.chain(iter::repeat_n(None, absent)).collect();
        labels.push(Declared { name: label.name, weight, texts });
        weight *= label.cardinality + absent;
    }
    for text in labels.iter_mut().flat_map(|label| &mut label.texts) {
        text.take_if(|text| text.is_empty());
    }
    labels
}

fn outcome_name(shape: &Shape, outcome: usize) -> &'static str {
    match outcome {
        outcome::OK => "ok",
        _ if outcome == shape.panic() => "panic",
        _ if outcome == shape.cancelled() => "cancelled",
        _ => "error",
    }
}

/// `,name="text"`
fn pair(name: &str, text: &str) -> String {
    let mut pair = String::with_capacity(name.len() + text.len() + 4);
    pair.extend([",", name, "=\""]);
    for char in text.chars() {
        match char {
            '\\' => pair.push_str("\\\\"),
            '"' => pair.push_str("\\\""),
            '\n' => pair.push_str("\\n"),
            char => pair.push(char),
        }
    }
    pair.push('"');
    pair
}
