//! `rename_all`: how a variant's name becomes its label value.

use syn::LitStr;

/// The styles, by the names that serde users know.
#[derive(Clone, Copy, Default)]
pub(super) enum Rename {
    #[default]
    Snake,
    Kebab,
    Lower,
    Upper,
    ScreamingSnake,
    Camel,
    Pascal,
}

const STYLES: &[(&str, Rename)] = &[
    ("snake_case", Rename::Snake),
    ("kebab-case", Rename::Kebab),
    ("lowercase", Rename::Lower),
    ("UPPERCASE", Rename::Upper),
    ("SCREAMING_SNAKE_CASE", Rename::ScreamingSnake),
    ("camelCase", Rename::Camel),
    ("PascalCase", Rename::Pascal),
];

impl Rename {
    /// The style of that name.
    pub(super) fn parse(literal: &LitStr) -> syn::Result<Self> {
        let written = literal.value();
        STYLES.iter().find(|(name, _)| *name == written).map(|(_, style)| *style).ok_or_else(|| {
            let valid = STYLES.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            syn::Error::new_spanned(literal, format!("`rename_all` is one of {valid}"))
        })
    }

    /// The label value of a variant.
    pub(super) fn apply(self, variant: &str) -> String {
        let words = words(variant);
        let lower = |separator: &str| words.join(separator).to_lowercase();
        match self {
            Self::Snake => lower("_"),
            Self::Kebab => lower("-"),
            Self::Lower => variant.to_lowercase(),
            Self::Upper => variant.to_uppercase(),
            Self::ScreamingSnake => words.join("_").to_uppercase(),
            Self::Pascal => variant.to_owned(),
            Self::Camel => {
                let head: String = words.first().map(|word| word.to_lowercase()).unwrap_or_default();
                head + &words[1..].concat()
            }
        }
    }
}

/// `HttpError` as `Http`, `Error`; a run of capitals is one word: `HTTPError` as `HTTP`, `Error`.
fn words(variant: &str) -> Vec<String> {
    let chars: Vec<char> = variant.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (i, &c) in chars.iter().enumerate() {
        let after_lower = i > 0 && !chars[i - 1].is_uppercase();
        let before_lower = chars.get(i + 1).is_some_and(|next| next.is_lowercase());
        if c == '_' {
            words.push(String::new());
            continue;
        }
        if i == 0 || (c.is_uppercase() && (after_lower || before_lower)) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
