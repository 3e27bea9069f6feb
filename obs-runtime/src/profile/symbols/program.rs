//! Functions of the program itself, from its debug information: a unit at a time, so that little of it is in memory. A
//! reader of the whole needs as much memory as the program is large.

use super::mapped::Mapped;
use super::unit::{self, Bytes, Found, Name};
use gimli::{DebugInfoOffset, Dwarf, RunTimeEndian, Section, SectionId};
use object::{CompressionFormat, File, Object, ObjectSection, ObjectSegment, ObjectSymbol, SymbolKind};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::OnceLock;

/// How many units without an index are looked at before memory is given back.
const UNITS: usize = 64;
/// How many ranges that begin before a place are looked at: another one may lie inside of the one that it is in.
const NESTED: usize = 16;

/// What lies at the addresses that are in the program. `None` if it can't be read, or has no debug information.
pub(super) fn resolve(addresses: &[u64]) -> Option<HashMap<u64, Vec<Found>>> {
    let places = places(addresses)?;
    let sorted: Vec<u64> = places.keys().copied().collect();
    let index = index()?;
    let (starts, units) = (&index.starts, index.units(&sorted));
    let mut found: BTreeMap<u64, Vec<Found>> = sorted.iter().map(|place| (*place, Vec::new())).collect();
    for (start, places) in units {
        let in_unit = with_dwarf(|dwarf| unit::resolve(dwarf, DebugInfoOffset(start), starts, &places).ok())?;
        for (place, frames) in places.iter().zip(in_unit.unwrap_or_default()) {
            found.insert(*place, frames);
        }
    }
    name_rest(&mut found)?;
    Some(found.into_iter().map(|(place, frames)| (places[&place], frames)).collect())
}

fn with_program<R>(read: impl FnOnce(&File<'_>) -> R) -> Option<R> {
    let mapped = Mapped::own_program().ok()?;
    let file = File::parse(&*mapped).ok()?;
    Some(read(&file))
}

fn with_dwarf<R>(read: impl FnOnce(&Dwarf<Bytes<'_>>) -> R) -> Option<R> {
    with_program(|file| {
        let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let section = |id: SectionId| -> Option<Bytes<'_>> {
            let Some(section) = file.section_by_name(id.name()) else { return Some(Bytes::new(&[], endian)) };
            let data = section.compressed_data().ok()?;
            (data.format == CompressionFormat::None).then(|| Bytes::new(data.data, endian))
        };
        let dwarf = Dwarf::load(|id| section(id).ok_or(())).ok()?;
        (!dwarf.debug_info.reader().slice().is_empty()).then(|| read(&dwarf))
    })?
}

/// The addresses as the file has them, and what they were: of those that are in the program.
fn places(addresses: &[u64]) -> Option<BTreeMap<u64, u64>> {
    let own = fs::read_link("/proc/self/exe").ok()?;
    let own = own.to_str()?;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let maps: Vec<_> = maps.lines().filter_map(|line| map(line, own)).collect();
    with_program(|file| {
        let segments: Vec<_> =
            file.segments().map(|segment| (segment.address(), segment.file_range())).collect();
        let place = |address: u64| {
            let (start, _, offset) =
                *maps.iter().find(|(start, end, _)| (*start..*end).contains(&address))?;
            let offset = address - start + offset;
            segments.iter().find_map(|(at, (first, length))| {
                let inside = offset.checked_sub(*first).filter(|inside| inside < length)?;
                at.checked_add(inside)
            })
        };
        addresses.iter().filter_map(|address| Some((place(*address)?, *address))).collect()
    })
}

/// `55d0c1a2b000-55d0c1a4c000 r-xp 0000b000 fe:01 1234    /usr/bin/shop`: start, end, and where in the file.
fn map(line: &str, program: &str) -> Option<(u64, u64, u64)> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let offset = words.nth(1)?;
    (words.nth(2)?.trim_start() == program).then_some(())?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?, number(offset)?))
}

/// The units of the program's debug information.
#[derive(Default)]
struct Index {
    /// Where they start, in order, as far as that is known.
    starts: Vec<usize>,
    /// The code of each: where that begins and ends, and the start of the unit. In order.
    ranges: Vec<(u64, u64, usize)>,
}

/// Of all that a look-up reads, this takes the longest, and it is the same for all of them.
fn index() -> Option<&'static Index> {
    static INDEX: OnceLock<Option<Index>> = OnceLock::new();
    INDEX.get_or_init(Index::read).as_ref()
}

impl Index {
    /// Reads the index that some compilers write; units that are not in it say themselves where they lie.
    fn read() -> Option<Self> {
        let mut index = Self::default();
        with_dwarf(|dwarf| index.indexed(dwarf))?.ok();
        index.starts.sort_unstable();
        index.starts.dedup();
        let mut next = Some(0);
        while let Some(start) = next {
            next = with_dwarf(|dwarf| index.unindexed(dwarf, start))?;
        }
        index.ranges.sort_unstable();
        index.ranges.shrink_to_fit();
        Some(index)
    }

    fn indexed(&mut self, dwarf: &Dwarf<Bytes<'_>>) -> gimli::Result<()> {
        let mut headers = dwarf.debug_aranges.headers();
        while let Some(header) = headers.next()? {
            let start = header.debug_info_offset().0;
            self.starts.push(start);
            let mut entries = header.entries();
            while let Some(entry) = entries.next()? {
                self.add(entry.range(), start);
            }
        }
        Ok(())
    }

    /// Looks at some units, from one on. Where the next one starts.
    fn unindexed(&mut self, dwarf: &Dwarf<Bytes<'_>>, mut start: usize) -> Option<usize> {
        for _ in 0..UNITS {
            let header = dwarf.debug_info.header_from_offset(DebugInfoOffset(start)).ok()?;
            let next = start.checked_add(header.length_including_self())?;
            if self.starts.binary_search(&start).is_err() {
                let ranges = dwarf.unit(header).and_then(|unit| {
                    let (mut ranges, mut all) = (dwarf.unit_ranges(&unit)?, Vec::new());
                    while let Some(range) = ranges.next()? {
                        all.push(range);
                    }
                    Ok(all)
                });
                for range in ranges.unwrap_or_default() {
                    self.add(range, start);
                }
            }
            start = next;
        }
        Some(start)
    }

    fn add(&mut self, range: gimli::Range, start: usize) {
        // What the linker has left out is said to begin at zero.
        if range.begin != 0 && range.begin < range.end {
            self.ranges.push((range.begin, range.end, start));
        }
    }

    /// The places, which are in order, that lie in each unit.
    fn units(&self, places: &[u64]) -> BTreeMap<usize, Vec<u64>> {
        let mut units: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for place in places {
            let before = self.ranges.partition_point(|(begin, ..)| begin <= place);
            let around = self.ranges[..before].iter().rev().take(NESTED).find(|(_, end, _)| place < end);
            if let Some((.., start)) = around {
                units.entry(*start).or_default().push(*place);
            }
        }
        units
    }
}

/// Names from the symbol table, for functions that have none with its path in the debug information.
fn name_rest(found: &mut BTreeMap<u64, Vec<Found>>) -> Option<()> {
    let is_linked = |frame: &Found| matches!(frame.function, Some(Name::Linked(_)));
    for frames in found.values_mut().filter(|frames| frames.is_empty()) {
        frames.push(Found::default());
    }
    // What is inlined is not in the table.
    let rest = found.iter().filter(|(_, frames)| !frames.last().is_some_and(is_linked));
    let rest: Vec<u64> = rest.map(|(place, _)| *place).collect();
    with_program(|file| {
        for symbol in file.symbols().chain(file.dynamic_symbols()) {
            if symbol.kind() != SymbolKind::Text {
                continue;
            }
            let range =
                gimli::Range { begin: symbol.address(), end: symbol.address().saturating_add(symbol.size()) };
            for place in &rest[unit::within(&rest, range)] {
                let outermost = found.get_mut(place).and_then(|frames| frames.last_mut());
                if let (Some(frame), Ok(name)) = (outermost, symbol.name()) {
                    if !is_linked(frame) {
                        frame.function = Some(Name::Linked(name.to_owned()));
                    }
                }
            }
        }
    })
}
