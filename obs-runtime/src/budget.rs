//! The compile-time check of a function's label combinations.

use crate::label::Dimension;
use crate::site::Spec;

impl Spec {
    /// Fails the build if labels times outcomes exceed the budget, with the sum spelled out.
    ///
    /// # Panics
    /// At compile time, where the compiler shows the message at the labels.
    #[track_caller]
    pub const fn check_budget(&self, function: &str) {
        let product = combinations(self.labels)
            .saturating_mul(combinations(self.result_labels))
            .saturating_mul(self.possible_outcomes());
        if product > self.budget {
            let message = self.explain(function, product);
            panic!("{}", message.as_str());
        }
    }

    const fn explain(&self, function: &str, product: usize) -> Message {
        let mut m = Message::new();
        m.text("`").text(function).text("` has ").number(product);
        m.text(" combinations of label values and outcomes, more than its budget of ").number(self.budget);
        m.text(": ").factors(self.labels).factors(self.result_labels);
        m.text("outcomes (").number(self.possible_outcomes()).text(": ok");
        match self.error_kinds {
            Some(kinds) => {
                m.text(", ").number(kinds.cardinality).text(" kinds of error");
            }
            None if self.fallible => {
                m.text(", error");
            }
            None => {}
        }
        m.text(", panic").text(if self.future { ", cancelled" } else { "" }).text(") = ").number(product);
        m.text(". Drop a label, choose a type with fewer values, move it to `fields(..)`, ");
        m.text("or say that it is meant with `budget = ").number(product).text("`");
        m
    }
}

const fn combinations(labels: &[Dimension]) -> usize {
    let (mut product, mut i) = (1_usize, 0);
    while i < labels.len() {
        product = product.saturating_mul(labels[i].cardinality);
        i += 1;
    }
    product
}

/// Text put together in a `const fn`, which can't allocate. What does not fit is cut.
struct Message {
    bytes: [u8; 1024],
    len: usize,
}

impl Message {
    const fn new() -> Self {
        Self { bytes: [0; 1024], len: 0 }
    }

    const fn text(&mut self, text: &str) -> &mut Self {
        let text = text.as_bytes();
        let mut i = 0;
        while i < text.len() && self.len < self.bytes.len() {
            self.bytes[self.len] = text[i];
            self.len += 1;
            i += 1;
        }
        self
    }

    const fn factors(&mut self, labels: &[Dimension]) -> &mut Self {
        let mut i = 0;
        while i < labels.len() {
            self.text(labels[i].name).text(" (").number(labels[i].cardinality).text(") x ");
            i += 1;
        }
        self
    }

    const fn number(&mut self, number: usize) -> &mut Self {
        let mut digits = [0; 20];
        let mut start = digits.len();
        let mut rest = number;
        loop {
            start -= 1;
            #[allow(clippy::cast_possible_truncation, reason = "a digit is below ten")]
            let digit = (rest % 10) as u8;
            digits[start] = b'0' + digit;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let (_, digits) = digits.split_at(start);
        match std::str::from_utf8(digits) {
            Ok(digits) => self.text(digits),
            Err(_) => self,
        }
    }

    const fn as_str(&self) -> &str {
        let (message, _) = self.bytes.split_at(self.len);
        match std::str::from_utf8(message) {
            Ok(message) => message,
            Err(_) => "more label combinations than the budget allows",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::values;

    #[test]
    fn the_message_names_every_factor() {
        const LABELS: &[Dimension] =
            &[values::<bool>().named("retry"), values::<Option<bool>>().named("method")];
        let spec = Spec::new().future().errors::<Option<bool>>().labels(LABELS).budget(10);
        let message = spec.explain("shop::charge", 36);
        assert_eq!(
            message.as_str(),
            "`shop::charge` has 36 combinations of label values and outcomes, more than its budget of 10: \
             retry (2) x method (3) x outcomes (6: ok, 3 kinds of error, panic, cancelled) = 36. \
             Drop a label, choose a type with fewer values, move it to `fields(..)`, \
             or say that it is meant with `budget = 36`"
        );
    }
}
