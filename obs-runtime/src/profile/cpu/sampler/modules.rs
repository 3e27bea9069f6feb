//! What is loaded: where the code lies, and how its frames are unwound.

use super::memory;
use framehop::{ExplicitModuleSectionInfo, Module};
use std::ops::Range;

/// Everything that is loaded, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Modules {
    /// How often the loader has loaded and unloaded something: the same addresses may be of another library.
    changes: (u64, u64),
    objects: Vec<Object>,
}

/// One of them: the program, a library, the kernel's own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    /// From its first segment to its last.
    range: Range<u64>,
    /// Its index of frames.
    index: Range<u64>,
    /// The segments, in one of which the frames are.
    segments: Vec<Range<u64>>,
}

impl Modules {
    /// What is loaded now.
    #[allow(unsafe_code, reason = "the loader calls us back")]
    pub(super) fn loaded() -> Self {
        let mut modules = Self::default();
        // SAFETY: the loader calls `note` while we wait, with the pointer that it was given and with nobody else's.
        unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut modules).cast()) };
        modules
    }

    /// As the unwinder wants them, with copies of what it reads: a library may be unloaded while a thread is about to
    /// look something up in it.
    pub(super) fn copied(&self) -> impl Iterator<Item = Module<Vec<u8>>> {
        self.objects.iter().filter_map(Object::copied)
    }
}

impl Object {
    fn copied(&self) -> Option<Module<Vec<u8>>> {
        let index = copy(&self.index)?;
        let frames = self.frames(&index)?;
        let sections = ExplicitModuleSectionInfo {
            // Addresses as they are in memory; nothing is to be moved.
            base_svma: self.range.start,
            eh_frame_hdr_svma: Some(self.index.clone()),
            eh_frame_hdr: Some(index),
            eh_frame: Some(copy(&frames)?),
            eh_frame_svma: Some(frames),
            ..Default::default()
        };
        Some(Module::new(String::new(), self.range.clone(), self.range.start, sections))
    }

    /// Where the frames are: from where the index says to the end of their segment.
    fn frames(&self, index: &[u8]) -> Option<Range<u64>> {
        // A version, and how the address is written: with four bytes, relative to themselves, as every linker does.
        let [1, 0x1b, _, _, distance @ ..] = *index.first_chunk::<8>()? else { return None };
        let at = self.index.start.checked_add(4)?;
        let start = at.checked_add_signed(i32::from_le_bytes(distance).into())?;
        let segment = self.segments.iter().find(|segment| segment.contains(&start))?;
        Some(start..segment.end)
    }
}

fn copy(range: &Range<u64>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(range.end.checked_sub(range.start)?).ok()?];
    let read = memory::read(range.start, &mut bytes);
    bytes.truncate(read);
    (read > 0).then_some(bytes)
}

/// Notes one object, and asks for the next.
#[allow(unsafe_code, reason = "the loader hands out pointers")]
unsafe extern "C" fn note(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    modules: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: it is the pointer of `loaded`, which waits for us and does not use it meanwhile; what the loader says of
    // an object is there until we return, and so are as many headers as it says.
    let (modules, info, headers) = unsafe {
        let info = &*info;
        let headers: &[libc::Elf64_Phdr] = if info.dlpi_phdr.is_null() {
            &[]
        } else {
            std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into())
        };
        (&mut *modules.cast::<Modules>(), info, headers)
    };
    let place = |header: &libc::Elf64_Phdr| {
        let start = info.dlpi_addr.wrapping_add(header.p_vaddr);
        start..start.saturating_add(header.p_memsz)
    };
    let of_type = |kind| headers.iter().filter(move |header| header.p_type == kind).map(place);
    let segments: Vec<_> = of_type(libc::PT_LOAD).collect();
    let start = segments.iter().map(|segment| segment.start).min();
    let end = segments.iter().map(|segment| segment.end).max();
    modules.changes = (info.dlpi_adds, info.dlpi_subs);
    if let (Some(start), Some(end), Some(index)) = (start, end, of_type(libc::PT_GNU_EH_FRAME).next()) {
        modules.objects.push(Object { range: start..end, index, segments });
    }
    0
}
