//! What lies at an address of code.

use super::{Frame, Text};
use std::collections::HashMap;
use std::ptr::without_provenance_mut;

/// The frames at addresses, as far as they have been asked for.
#[derive(Default)]
pub(crate) struct Symbols {
    known: HashMap<u64, Vec<Frame>>,
    names: HashMap<String, Text>,
}

impl Symbols {
    fn text(&mut self, name: String) -> Text {
        self.names.entry(name).or_insert_with_key(|name| name.clone().into()).clone()
    }
}

/// The functions at an instruction, innermost first: more than one where some were inlined. The instruction of a
/// frame that has called another is the one before its return address.
pub(crate) fn frames(address: u64, symbols: &mut Symbols) -> Vec<Frame> {
    if let Some(frames) = symbols.known.get(&address) {
        return frames.clone();
    }
    let mut frames = Vec::new();
    // `backtrace` expects a return address, and looks at what is before it.
    let behind = usize::try_from(address.saturating_add(1)).unwrap_or(usize::MAX);
    backtrace::resolve(without_provenance_mut(behind), |symbol| {
        let Some(name) = symbol.name() else { return };
        let file = symbol.filename().map(|file| file.display().to_string()).unwrap_or_default();
        frames.push(Frame {
            function: symbols.text(format!("{name:#}")),
            file: symbols.text(file),
            line: symbol.lineno().unwrap_or(0),
            address,
        });
    });
    if frames.is_empty() {
        frames.push(Frame {
            function: symbols.text(format!("{address:#x}")),
            file: "".into(),
            line: 0,
            address,
        });
    }
    symbols.known.insert(address, frames.clone());
    frames
}
