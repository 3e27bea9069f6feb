//! The document of results: sections that are measured apart and written one by one.

use std::fs;
use std::io;
use std::path::Path;

/// A part of the document.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// Markdown, without the heading.
    pub(crate) text: String,
}

/// Writes sections into the document. Those it has already are replaced where they stand, and others of
/// an earlier run are kept.
pub(crate) fn write(path: &Path, introduction: &str, sections: &[Section], order: &[&str]) -> io::Result<()> {
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    fs::write(path, merged(&before, introduction, sections, order))
}

fn merged(before: &str, introduction: &str, sections: &[Section], order: &[&str]) -> String {
    let kept: Vec<(&str, &str)> =
        before.split("\n## ").skip(1).filter_map(|part| part.split_once('\n')).collect();
    let mut document = introduction.trim_end().to_owned();
    for title in order {
        let new =
            sections.iter().find(|section| section.title == *title).map(|section| section.text.as_str());
        let old = kept.iter().find(|(kept, _)| kept == title).map(|(_, text)| *text);
        if let Some(text) = new.or(old) {
            document.push_str(&format!("\n\n## {title}\n\n{}", text.trim()));
        }
    }
    document.push('\n');
    document
}

/// A table: its head, then its rows.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = vec!["---".to_owned(); head.len()];
    let rows = rows.into_iter().map(|row| line(&row));
    [line(&head), line(&rule)].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_replaced_or_kept_and_in_order() {
        let section = |title, text: &str| Section { title, text: text.to_owned() };
        let order = ["Calls", "Scrapes"];
        let first = merged("", "# Results\n", &[section("Scrapes", "old"), section("Calls", "old")], &order);
        assert_eq!(first, "# Results\n\n## Calls\n\nold\n\n## Scrapes\n\nold\n");
        let second = merged(&first, "# Results\n", &[section("Scrapes", "new")], &order);
        assert_eq!(second, "# Results\n\n## Calls\n\nold\n\n## Scrapes\n\nnew\n");
    }
}
