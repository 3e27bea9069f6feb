//! Which functions lie at an address.

use super::model::{Frame, Text};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Looks up addresses, each of them once, and gives back on drop what that took.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    known: HashMap<u64, Vec<Frame>>,
    /// A name stands in very many frames.
    texts: HashSet<Arc<str>>,
}

impl Symbols {
    /// The functions that a return address lies in, innermost first: more than one where they were inlined. For the
    /// address of an instruction itself, ask for one more.
    pub(crate) fn of(&mut self, return_address: u64) -> &[Frame] {
        let Self { known, texts } = self;
        known.entry(return_address).or_insert_with(|| resolved(return_address, texts))
    }
}

impl Drop for Symbols {
    /// The tables of a program may be large, and who has asked once need not ask again.
    fn drop(&mut self) {
        backtrace::clear_symbol_cache();
    }
}

fn resolved(return_address: u64, texts: &mut HashSet<Arc<str>>) -> Vec<Frame> {
    let address = return_address.saturating_sub(1);
    let mut frames = Vec::new();
    let Ok(place) = usize::try_from(return_address) else { return frames };
    // It takes return addresses too, and looks at what is before them.
    backtrace::resolve(std::ptr::without_provenance_mut(place), |symbol| {
        let function = symbol.name().map_or_else(|| unknown(address), |name| format!("{name:#}"));
        let file = symbol.filename().map(Path::to_string_lossy).unwrap_or_default();
        frames.push(Frame {
            function: interned(texts, &function),
            file: interned(texts, &file),
            line: symbol.lineno().unwrap_or(0),
            address,
        });
    });
    if frames.is_empty() {
        let function = interned(texts, &unknown(address));
        frames.push(Frame { function, file: "".into(), line: 0, address });
    }
    frames
}

fn unknown(address: u64) -> String {
    format!("{address:#x}")
}

fn interned(texts: &mut HashSet<Arc<str>>, text: &str) -> Text {
    if let Some(text) = texts.get(text) {
        return Text::Made(Arc::clone(text));
    }
    let text: Arc<str> = text.into();
    texts.insert(Arc::clone(&text));
    Text::Made(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_function_file_and_line() {
        let mut symbols = Symbols::default();
        let mut addresses = Vec::new();
        backtrace::trace(|frame| {
            addresses.push(frame.ip().addr() as u64);
            true
        });
        let frames: Vec<_> = addresses.iter().flat_map(|address| symbols.of(*address).to_vec()).collect();
        let own = frames.iter().find(|frame| frame.function.as_str().ends_with("function_file_and_line"));
        let own = own.unwrap_or_else(|| panic!("this function: {frames:#?}"));
        assert!(own.function.as_str().starts_with("obs_runtime::profile::symbols::"), "no hash: {own:?}");
        assert!(own.file.as_str().ends_with("symbols.rs") && own.line > 0 && own.address > 0, "{own:?}");
    }

    #[test]
    fn what_has_no_name_is_called_by_its_address() {
        let mut symbols = Symbols::default();
        for (address, name) in [(0, "0x0"), (0x11, "0x10"), (u64::MAX, "0xfffffffffffffffe")] {
            let [frame] = symbols.of(address) else { panic!("one frame: {address}") };
            assert_eq!((frame.function.as_str(), frame.line), (name, 0));
        }
    }
}
