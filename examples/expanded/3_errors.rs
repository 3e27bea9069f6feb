//! A function that fails in ways that are counted apart.

use obs_runtime::{Label, observe};

#[derive(Debug, Label)]
pub enum ParseError {
    Empty,
    #[label("nan")]
    NotANumber(String),
}

#[observe(err(kind = ParseError))]
pub fn parse(text: &str) -> Result<u32, ParseError> {
    if text.is_empty() {
        return Err(ParseError::Empty);
    }
    text.parse().map_err(|_| ParseError::NotANumber(text.to_owned()))
}
