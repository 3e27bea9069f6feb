//! A profile to read as it is.

use super::Profile;
use crate::text::escaped;
use std::cmp::Reverse;
use std::fmt::Write as _;

/// The columns, and each stack with its values: largest in the last column first, innermost function first.
pub(crate) fn text(profile: &Profile) -> String {
    let columns: Vec<_> = profile.types.iter().map(|(name, unit)| format!("{name}/{unit}")).collect();
    let mut text = columns.join(" ");
    text.push('\n');
    let mut rows: Vec<_> = profile.samples.iter().collect();
    rows.sort_by_key(|(_, values)| Reverse(values.last().map(|value| value.unsigned_abs())));
    for ((stack, labels), values) in rows {
        text.push('\n');
        let values: Vec<_> = values.iter().map(i64::to_string).collect();
        text.push_str(&values.join(" "));
        for label in labels {
            let _ = write!(text, " {}={}", label.key, escaped(label.value.as_str()));
        }
        text.push_str(":\n");
        for frame in stack {
            let (function, file) = (escaped(frame.function.as_str()), escaped(frame.file.as_str()));
            let _ = match frame.line {
                0 => writeln!(text, "    {function}"),
                line => writeln!(text, "    {function} ({file}:{line})"),
            };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::model::{Frame, Label};
    use std::time::SystemTime;

    #[test]
    fn the_largest_comes_first() {
        let mut profile =
            Profile::new(&[("contentions", "count"), ("delay", "nanoseconds")], SystemTime::now());
        let frame = |function: &'static str, line| Frame {
            function: function.into(),
            file: "a.rs".into(),
            line,
            address: 0,
        };
        profile.add(vec![frame("small", 3)], Vec::new(), &[9, 5]);
        let label = Label { key: "lock", value: "stock".into() };
        profile.add(vec![frame("large", 2), frame("main", 0)], vec![label], &[1, -70]);
        let expected = "contentions/count delay/nanoseconds\n\n1 -70 lock=stock:\n    large (a.rs:2)\n    main\n\n\
                        9 5:\n    small (a.rs:3)\n";
        assert_eq!(text(&profile), expected);
    }

    #[test]
    fn names_do_not_steer_a_terminal() {
        let mut profile = Profile::new(&[("contentions", "count")], SystemTime::now());
        for c in crate::text::tests::UNSAFE.chars() {
            let name = format!("a{c}b");
            let frame =
                |line| Frame { function: name.clone().into(), file: name.clone().into(), line, address: 0 };
            profile.add(
                vec![frame(1), frame(0)],
                vec![Label { key: "lock", value: name.clone().into() }],
                &[1],
            );
        }
        assert!(!text(&profile).replace('\n', "").contains(crate::text::is_unsafe));
    }
}
