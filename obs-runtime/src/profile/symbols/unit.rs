//! One unit of a program's debug information.

use gimli::{
    AttributeValue, DebugInfoOffset, Dwarf, EndianSlice, Range, RunTimeEndian, UnitOffset, UnitRef, constants,
};
use std::ops;
use std::path::PathBuf;

pub(super) type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;

/// A function that an address lies in, and where in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) function: Option<Name>,
    pub(super) file: String,
    pub(super) line: u32,
}

/// A function's name.
#[derive(Clone, Debug)]
pub(super) enum Name {
    /// As the linker has it, with all of its path.
    Linked(String),
    /// As it is declared: all that `line-tables-only` leaves.
    Bare(String),
}

impl Name {
    pub(super) fn as_str(&self) -> &str {
        let (Self::Linked(name) | Self::Bare(name)) = self;
        name
    }
}

/// A function around an address; from which line of which file it is called, if it was inlined there.
struct Scope {
    entry: UnitOffset,
    call: Line,
}

type Line = (u64, u32);

/// Which of the places, which are sorted, lie in a range.
pub(super) fn within(places: &[u64], range: Range) -> ops::Range<usize> {
    // What the linker has left out is said to begin at zero.
    if range.begin == 0 || range.end <= range.begin {
        return 0..0;
    }
    places.partition_point(|place| *place < range.begin)..places.partition_point(|place| *place < range.end)
}

/// What lies at each of the places, innermost function first. `starts` are those of units, for references into others.
pub(super) fn resolve(
    dwarf: &Dwarf<Bytes<'_>>,
    start: DebugInfoOffset,
    starts: &[usize],
    places: &[u64],
) -> gimli::Result<Vec<Vec<Found>>> {
    let unit = dwarf.unit(dwarf.debug_info.header_from_offset(start)?)?;
    let unit = unit.unit_ref(dwarf);
    let lines = lines(unit, places)?;
    let scopes = scopes(unit, places)?;
    let found = scopes.into_iter().zip(lines).map(|(scopes, mut line)| {
        let mut found = Vec::new();
        for scope in scopes.iter().rev() {
            let function = name(unit, scope.entry, starts, 0);
            found.push(Found { function, file: path(unit, line.0).unwrap_or_default(), line: line.1 });
            line = scope.call;
        }
        // A function in which nothing was inlined may only be in the symbol table.
        if found.is_empty() {
            found.push(Found { function: None, file: path(unit, line.0).unwrap_or_default(), line: line.1 });
        }
        found
    });
    Ok(found.collect())
}

/// The functions around each place, outermost first.
fn scopes(unit: UnitRef<'_, Bytes<'_>>, places: &[u64]) -> gimli::Result<Vec<Vec<Scope>>> {
    let mut scopes: Vec<Vec<Scope>> = places.iter().map(|_| Vec::new()).collect();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        let inlined = match entry.tag() {
            constants::DW_TAG_subprogram => false,
            constants::DW_TAG_inlined_subroutine => true,
            _ => continue,
        };
        let mut ranges = unit.die_ranges(entry)?;
        while let Some(range) = ranges.next()? {
            for around in &mut scopes[within(places, range)] {
                if !inlined {
                    around.clear();
                }
                let file = match entry.attr_value(constants::DW_AT_call_file) {
                    Some(AttributeValue::FileIndex(file)) => file,
                    Some(value) => value.udata_value().unwrap_or(0),
                    None => 0,
                };
                let line = entry.attr_value(constants::DW_AT_call_line).and_then(|line| line.udata_value());
                let call = (file, line.and_then(|line| line.try_into().ok()).unwrap_or(0));
                around.push(Scope { entry: entry.offset(), call });
            }
        }
    }
    Ok(scopes)
}

/// The line of each place.
fn lines(unit: UnitRef<'_, Bytes<'_>>, places: &[u64]) -> gimli::Result<Vec<Line>> {
    let mut lines = vec![(0, 0); places.len()];
    let Some(program) = unit.line_program.clone() else { return Ok(lines) };
    let mut rows = program.rows();
    let mut before: Option<(u64, Line)> = None;
    while let Some((_, row)) = rows.next_row()? {
        if let Some((begin, line)) = before {
            lines[within(places, Range { begin, end: row.address() })].fill(line);
        }
        let line = row.line().and_then(|line| line.get().try_into().ok()).unwrap_or(0);
        before = (!row.end_sequence()).then_some((row.address(), (row.file_index(), line)));
    }
    Ok(lines)
}

fn path(unit: UnitRef<'_, Bytes<'_>>, file: u64) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(file)?;
    let text = |value| Some(unit.attr_string(value).ok()?.to_string_lossy().into_owned());
    let mut path = unit
        .comp_dir
        .map(|directory| directory.to_string_lossy().into_owned())
        .map_or_else(PathBuf::new, PathBuf::from);
    if file.directory_index() != 0 {
        path.push(file.directory(header).and_then(text)?);
    }
    path.push(text(file.path_name())?);
    Some(path.to_string_lossy().into_owned())
}

/// The name of a function, which may be where it was declared or before it was inlined.
fn name(unit: UnitRef<'_, Bytes<'_>>, entry: UnitOffset, starts: &[usize], depth: usize) -> Option<Name> {
    const DEEPEST: usize = 16;
    if depth > DEEPEST {
        return None;
    }
    let entry = unit.entry(entry).ok()?;
    let text = |attribute| {
        let value = unit.attr_string(entry.attr_value(attribute)?).ok()?;
        Some(value.to_string_lossy().into_owned())
    };
    let elsewhere = |attribute| match entry.attr_value(attribute)? {
        AttributeValue::UnitRef(offset) => name(unit, offset, starts, depth + 1),
        AttributeValue::DebugInfoRef(offset) => name_in_another(unit.dwarf, offset, starts, depth + 1),
        _ => None,
    };
    text(constants::DW_AT_linkage_name)
        .or_else(|| text(constants::DW_AT_MIPS_linkage_name))
        .map(Name::Linked)
        .or_else(|| elsewhere(constants::DW_AT_abstract_origin))
        .or_else(|| elsewhere(constants::DW_AT_specification))
        .or_else(|| text(constants::DW_AT_name).map(Name::Bare))
}

fn name_in_another(
    dwarf: &Dwarf<Bytes<'_>>,
    entry: DebugInfoOffset,
    starts: &[usize],
    depth: usize,
) -> Option<Name> {
    let before = starts.partition_point(|start| *start <= entry.0);
    let mut start = before.checked_sub(1).map_or(0, |place| starts[place]);
    while start <= entry.0 {
        let header = dwarf.debug_info.header_from_offset(DebugInfoOffset(start)).ok()?;
        start = start.checked_add(header.length_including_self())?;
        if let Some(entry) = entry.to_unit_offset(&header) {
            let unit = dwarf.unit(header).ok()?;
            return name(unit.unit_ref(dwarf), entry, starts, depth);
        }
    }
    None
}
