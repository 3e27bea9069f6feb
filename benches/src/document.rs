//! The document of results: sections that are measured apart and written one by one.

use std::fs;
use std::io;
use std::path::Path;

/// Writes a section into the document, where it replaces that of an earlier run; the other sections are kept.
pub(crate) fn write(
    path: &Path,
    introduction: &str,
    title: &str,
    text: &str,
    order: &[&str],
) -> io::Result<()> {
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    fs::write(path, merged(&before, introduction, (title, text), order))
}

fn merged(before: &str, introduction: &str, new: (&str, &str), order: &[&str]) -> String {
    let kept = before.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
    let sections: Vec<(&str, &str)> = std::iter::once(new).chain(kept).collect();
    let ordered = order.iter().filter_map(|wanted| sections.iter().find(|(title, _)| title == wanted));
    let sections = ordered.map(|(title, text)| format!("## {title}\n\n{}\n", text.trim()));
    let introduction = format!("{}\n", introduction.trim());
    std::iter::once(introduction).chain(sections).collect::<Vec<_>>().join("\n")
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
        let order = ["Calls", "Scrapes"];
        let first = merged("", "# Results\n", ("Scrapes", "old"), &order);
        assert_eq!(first, "# Results\n\n## Scrapes\n\nold\n");
        let second = merged(&first, "# Results\n", ("Calls", "new"), &order);
        assert_eq!(second, "# Results\n\n## Calls\n\nnew\n\n## Scrapes\n\nold\n");
        let third = merged(&second, "# Results\n", ("Scrapes", "new"), &order);
        assert_eq!(third, "# Results\n\n## Calls\n\nnew\n\n## Scrapes\n\nnew\n");
    }
}
