//! Numbers as the document shows them.

/// With as many digits as mean something.
pub(crate) fn short(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// A row of a table of aims: what it is about, the aim, what was measured, and whether that is enough.
pub(crate) struct Aim<'a> {
    pub(crate) name: String,
    pub(crate) measured: Option<f64>,
    pub(crate) bound: f64,
    pub(crate) unit: &'a str,
}

/// The head of such a table.
pub(crate) const AIMS: [&str; 4] = ["", "aim", "measured", "reached"];

impl Aim<'_> {
    pub(crate) fn at_most(self) -> Vec<String> {
        self.row("most", |measured, bound| measured <= bound)
    }

    pub(crate) fn at_least(self) -> Vec<String> {
        self.row("least", |measured, bound| measured >= bound)
    }

    fn row(self, word: &str, reached: fn(f64, f64) -> bool) -> Vec<String> {
        let Self { name, measured, bound, unit } = self;
        let aim = format!("at {word} {bound}{unit}");
        let (measured, reached) = match measured {
            Some(value) => (format!("{value:.2}{unit}"), if reached(value, bound) { "yes" } else { "no" }),
            None => ("not measured".to_owned(), ""),
        };
        vec![name, aim, measured, reached.to_owned()]
    }
}
