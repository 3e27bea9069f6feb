//! Which functions lie at an address.

#[cfg(target_os = "linux")]
mod mapped;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod unit;

use super::model::{Frame, Text};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// The number of addresses whose functions are kept, in the program and in libraries each.
const KEPT: usize = 1 << 16;

/// The functions at some addresses.
#[derive(Debug)]
pub(crate) struct Symbols(HashMap<u64, Vec<Frame>>);

/// Functions found by earlier look-ups. Profiles of one process have most of their addresses in common.
#[derive(Default)]
struct Kept {
    /// Those of the program, which stays where it is.
    program: HashMap<u64, Vec<Frame>>,
    /// Those of libraries, and addresses without a name.
    libraries: HashMap<u64, Vec<Frame>>,
    /// The libraries that those are of.
    loaded: Option<String>,
    texts: Texts,
}

static FOUND: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

impl Symbols {
    /// Looks up return addresses: what lies before them. For the address of an instruction itself, ask for one more.
    ///
    /// All at once, because what it takes in memory is then given back.
    pub(crate) fn of(return_addresses: impl IntoIterator<Item = u64>) -> Self {
        let _unsampled = super::unsampled();
        let addresses: BTreeSet<u64> =
            return_addresses.into_iter().map(|address| address.saturating_sub(1)).collect();
        FOUND.lock().unwrap_or_else(PoisonError::into_inner).of(&addresses)
    }

    /// The functions that one of these return addresses lies in, innermost first: more than one where they were inlined.
    pub(crate) fn frames(&self, return_address: u64) -> &[Frame] {
        self.0.get(&return_address.saturating_sub(1)).map_or(&[], Vec::as_slice)
    }
}

impl Kept {
    fn of(&mut self, addresses: &BTreeSet<u64>) -> Symbols {
        let loaded = loaded();
        if loaded.is_none() || loaded != self.loaded {
            self.libraries.clear();
            self.loaded = loaded;
        }
        let mut found = HashMap::new();
        let mut rest = Vec::new();
        for address in addresses {
            match self.program.get(address).or_else(|| self.libraries.get(address)) {
                Some(frames) => _ = found.insert(*address, frames.clone()),
                None => rest.push(*address),
            }
        }
        if rest.is_empty() {
            return Symbols(found);
        }
        let of_program = of_program(&rest, &mut self.texts);
        for address in rest.into_iter().filter(|address| !of_program.contains_key(address)) {
            let frames = of_library(address, &mut self.texts);
            found.insert(address, frames.clone());
            self.libraries.insert(address, frames);
        }
        backtrace::clear_symbol_cache();
        found.extend(of_program.iter().map(|(address, frames)| (*address, frames.clone())));
        self.program.extend(of_program);
        if self.program.len() > KEPT || self.libraries.len() > KEPT {
            *self = Self::default();
        }
        Symbols(found)
    }
}

/// The code that is in memory, from which file and where. `None` if that is not known.
#[cfg(target_os = "linux")]
fn loaded() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    // A thread may need another stack meanwhile, which is not code.
    Some(maps.lines().filter(|line| line.contains(" r-xp ") && line.contains('/')).collect())
}

#[cfg(not(target_os = "linux"))]
fn loaded() -> Option<String> {
    None
}

#[cfg(target_os = "linux")]
fn of_program(addresses: &[u64], texts: &mut Texts) -> HashMap<u64, Vec<Frame>> {
    let found = program::resolve(addresses).unwrap_or_default();
    let frames = found.into_iter().map(|(address, found)| {
        let frames = found.into_iter().map(|found| {
            let function = found.function.as_ref().map(|name| plain(name.as_str()));
            texts.frame(address, function, &found.file, found.line)
        });
        (address, frames.collect())
    });
    frames.collect()
}

#[cfg(not(target_os = "linux"))]
fn of_program(_: &[u64], _: &mut Texts) -> HashMap<u64, Vec<Frame>> {
    HashMap::new()
}

/// Those that are not in the program.
fn of_library(address: u64, texts: &mut Texts) -> Vec<Frame> {
    let mut frames = Vec::new();
    // It takes return addresses too.
    if let Some(place) = usize::try_from(address).ok().and_then(|address| address.checked_add(1)) {
        backtrace::resolve(std::ptr::without_provenance_mut(place), |symbol| {
            let file = symbol.filename().map(Path::to_string_lossy).unwrap_or_default();
            let function = symbol.name().map(|name| format!("{name:#}"));
            frames.push(texts.frame(address, function, &file, symbol.lineno().unwrap_or(0)));
        });
    }
    if frames.is_empty() {
        frames.push(texts.frame(address, None, "", 0));
    }
    frames
}

/// As it is written in the source, without the hash.
fn plain(name: &str) -> String {
    format!("{:#}", backtrace::SymbolName::new(name.as_bytes()))
}

/// Names stand in very many frames, and are there once.
#[derive(Default)]
struct Texts(HashSet<Arc<str>>);

impl Texts {
    /// A function without a name is called by its address.
    fn frame(&mut self, address: u64, function: Option<String>, file: &str, line: u32) -> Frame {
        let function = function.unwrap_or_else(|| format!("{address:#x}"));
        Frame { function: self.text(&function), file: self.text(file), line, address }
    }

    fn text(&mut self, text: &str) -> Text {
        let known = self.0.get(text).cloned();
        Text::Made(known.unwrap_or_else(|| {
            let text: Arc<str> = text.into();
            self.0.insert(Arc::clone(&text));
            text
        }))
    }
}

/// Whether the tests were built with debug information, which files, lines and inlined functions come from. Asks a
/// reader that is not ours.
#[cfg(test)]
pub(crate) fn has_debug_information() -> bool {
    let address = has_debug_information as *const () as u64;
    of_library(address, &mut Texts::default()).iter().any(|frame| frame.line > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "that is what is tested")]
    fn inlined() -> Vec<u64> {
        let mut addresses = Vec::new();
        backtrace::trace(|frame| {
            addresses.push(frame.ip().addr() as u64);
            !frame.ip().is_null()
        });
        addresses
    }

    #[inline(never)]
    fn called() -> Vec<u64> {
        std::hint::black_box(inlined())
    }

    #[test]
    fn an_address_has_its_function_file_and_line() {
        let addresses = called();
        let symbols = Symbols::of(addresses.iter().copied());
        let frames: Vec<_> = addresses.iter().flat_map(|address| symbols.frames(*address)).collect();
        let named = |name: &str| {
            let path = format!("obs_runtime::profile::symbols::tests::{name}");
            // Of what is inlined, `line-tables-only` has the bare name.
            frames.iter().position(|frame| [&path, name].contains(&frame.function.as_str()))
        };
        let (inner, place) = (named("inlined"), named("called"));
        let outer = frames[place.unwrap_or_else(|| panic!("{frames:#?}"))];
        assert!(outer.address > 0, "{outer:?}");
        if has_debug_information() {
            assert_eq!(inner.map(|inner| inner + 1), place, "{frames:#?}");
            assert!(outer.file.as_str().ends_with("symbols/mod.rs") && outer.line > 0, "{outer:?}");
        } else {
            assert_eq!((outer.file.as_str(), outer.line), ("", 0));
        }
    }

    /// A name out of `line-tables-only`, without the types that the function is made for and the number of a closure.
    fn bare(name: &str) -> &str {
        match name.split('<').next().unwrap_or_default() {
            closure if closure.starts_with("{closure") => "{{closure}}",
            name => name,
        }
    }

    /// A reader of the whole, which needs more memory.
    #[test]
    fn it_is_what_backtrace_says() {
        let mut addresses = called();
        addresses.extend(
            std::thread::spawn(|| (0..3).map(|_| called()).fold(Vec::new(), |_, last| last)).join().unwrap(),
        );
        let symbols = Symbols::of(addresses.iter().copied());
        let mut texts = Texts::default();
        for address in addresses.into_iter().filter(|address| *address > 0) {
            let (ours, theirs) = (symbols.frames(address), of_library(address - 1, &mut texts));
            assert_eq!(ours.len(), theirs.len(), "{ours:#?} {theirs:#?}");
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert_eq!((&ours.file, ours.line), (&theirs.file, theirs.line));
                let (ours, theirs) = (ours.function.as_str(), theirs.function.as_str());
                assert!(ours == theirs || ours.ends_with(&format!("::{}", bare(theirs))), "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn functions_are_kept_until_other_libraries_are_loaded() {
        let (mut kept, addresses) = (Kept::default(), called());
        let addresses: BTreeSet<u64> =
            addresses.into_iter().map(|address| address.saturating_sub(1)).collect();
        let first = kept.of(&addresses).0;
        assert_eq!(first.len(), addresses.len());
        assert!(cfg!(not(target_os = "linux")) || kept.program.len() > 2, "{:?}", kept.program);
        let text = |kept: &Kept, name: &str| Text::Made(kept.texts.0.get(name).cloned().expect("a text"));
        // Marks, which a second look-up would not find.
        let mark = |kept: &mut Kept, name: &'static str| {
            _ = kept.texts.text(name);
            let text = text(kept, name);
            for frame in kept.program.values_mut().chain(kept.libraries.values_mut()).flatten() {
                frame.function = text.clone();
            }
        };
        mark(&mut kept, "marked");
        let marked = |found: &HashMap<u64, Vec<Frame>>| {
            found.values().flatten().filter(|frame| frame.function.as_str() == "marked").count()
        };
        let frames = first.values().flatten().count();
        assert_eq!(marked(&kept.of(&addresses).0), if loaded().is_some() { frames } else { 0 });
        let of_program = kept.program.values().flatten().count();
        kept.loaded = None;
        assert_eq!(marked(&kept.of(&addresses).0), of_program, "libraries are looked up again");
    }

    #[test]
    fn what_has_no_name_is_called_by_its_address() {
        let symbols = Symbols::of([0, 0x11, u64::MAX]);
        for (address, name) in [(0, "0x0"), (0x11, "0x10"), (u64::MAX, "0xfffffffffffffffe")] {
            let [frame] = symbols.frames(address) else { panic!("one frame: {address}") };
            assert_eq!((frame.function.as_str(), frame.line), (name, 0));
        }
        assert_eq!(symbols.frames(0x99), []);
    }
}
