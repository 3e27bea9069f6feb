//! Texts that are cut.

/// The start of a text, of so many bytes at most: all of it, or up to the last character that fits.
pub(crate) fn start_of(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::start_of;

    #[test]
    fn no_character_is_cut() {
        let cut: Vec<_> = (0..=7).map(|most| start_of("aé€", most)).collect();
        assert_eq!(cut, ["", "a", "a", "aé", "aé", "aé", "aé€", "aé€"]);
    }
}
