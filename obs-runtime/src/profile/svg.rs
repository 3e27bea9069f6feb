//! A profile as a flame graph.

use super::Profile;
use inferno::flamegraph::{Options, from_lines};

impl Profile {
    /// A flame graph of the last column, as SVG: each function as wide as its value, with those that called it below. It
    /// zooms and searches when it is opened in a browser. Of a difference it has only what grew.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let directory = std::env::temp_dir();
    /// let profile = obs_runtime::profile::block();
    /// std::fs::write(directory.join("block.svg"), profile.to_svg())?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        let (name, unit) = self.types.last().copied().unwrap_or_default();
        let mut options = Options::default();
        name.clone_into(&mut options.title);
        unit.clone_into(&mut options.count_name);
        // The same profile is the same graph.
        options.deterministic = true;
        let lines: Vec<_> = self
            .samples
            .iter()
            .filter_map(|((stack, _), values)| {
                let value = values.last().filter(|value| **value > 0)?;
                let stack: Vec<_> = stack.iter().rev().map(|frame| plain(frame.function.as_str())).collect();
                Some(format!("{} {value}", stack.join(";")))
            })
            .collect();
        if lines.is_empty() {
            return empty(name);
        }
        let mut svg = Vec::new();
        match from_lines(&mut options, lines.iter().map(String::as_str), &mut svg) {
            Ok(()) => String::from_utf8_lossy(&svg).into_owned(),
            Err(_) => empty(name),
        }
    }
}

/// A name without what separates names, lines and values: a number at its end would be another value.
fn plain(name: &str) -> String {
    let name = crate::text::escaped(name).replace(';', ",");
    match name.rsplit_once(' ') {
        Some((start, end)) if end.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("{start}\u{a0}{end}")
        }
        _ => name,
    }
}

fn empty(name: &str) -> String {
    format!(
        "<?xml version=\"1.0\" standalone=\"no\"?>\n\
         <svg version=\"1.1\" width=\"600\" height=\"60\" xmlns=\"http://www.w3.org/2000/svg\">\
         <text x=\"20\" y=\"35\" font-family=\"monospace\">{name}: nothing was measured</text></svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use crate::profile::Profile;
    use crate::profile::model::{Frame, ValueType};
    use std::time::SystemTime;

    const TYPES: &[ValueType] = &[("objects", "count"), ("space", "bytes")];

    fn frame(function: &'static str) -> Frame {
        Frame { function: function.into(), file: "".into(), line: 0, address: 0 }
    }

    #[test]
    fn functions_are_there_and_nothing_of_their_names_is_markup() {
        let mut profile = Profile::new(TYPES, SystemTime::now());
        profile.add(vec![frame("<[u8; 4] as Shop<&str>>::sell"), frame("main")], Vec::new(), &[1, 300]);
        profile.add(vec![frame("freed"), frame("main")], Vec::new(), &[-1, -300]);
        profile.add(vec![frame("step 2")], Vec::new(), &[1, 100]);
        let svg = profile.to_svg();
        assert!(svg.starts_with("<?xml") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(svg.contains("&lt;[u8, 4] as Shop&lt;&amp;str&gt;&gt;::sell"), "{svg}");
        assert!(svg.contains("<title>step\u{a0}2 (100 bytes"), "{svg}");
        assert!(svg.contains("<title>main (300 bytes, 75"), "{svg}");
        assert!(!svg.contains("freed"), "only what grew");
        assert_eq!(svg, profile.to_svg());
    }

    #[test]
    fn a_profile_of_nothing_says_so() {
        let svg = Profile::new(TYPES, SystemTime::now()).to_svg();
        assert!(svg.contains("space: nothing was measured"), "{svg}");
    }
}
