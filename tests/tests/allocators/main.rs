//! Allocators that count, or that are observed themselves. A program has one: here it is the system's, until a test
//! chooses another for its process.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe to implement; these hand everything on to the system's"
)]

mod allocations;
mod reentrant;
mod reentrant_growth;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU8, Ordering};

/// Which allocator the process has.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Allocator {
    System,
    Counting,
    Observed,
    ObservedGrowth,
}

static CHOSEN: AtomicU8 = AtomicU8::new(Allocator::System as u8);

impl Allocator {
    /// Makes it that of the process. Memory of one may be given back to another, as it is the system's.
    fn choose(self) {
        CHOSEN.store(self as u8, Ordering::Relaxed);
    }

    fn is_chosen(self) -> bool {
        CHOSEN.load(Ordering::Relaxed) == self as u8
    }
}

struct Chosen;

#[global_allocator]
static ALLOCATOR: Chosen = Chosen;

macro_rules! chosen {
    ($allocator:ident => $call:expr) => {
        if Allocator::Counting.is_chosen() {
            let $allocator = allocations::Counting;
            $call
        } else if Allocator::Observed.is_chosen() {
            let $allocator = reentrant::Observed;
            $call
        } else if Allocator::ObservedGrowth.is_chosen() {
            let $allocator = reentrant_growth::Observed;
            $call
        } else {
            let $allocator = System;
            $call
        }
    };
}

// SAFETY: the allocators handed on to keep the contract, and take back what another of them has given.
unsafe impl GlobalAlloc for Chosen {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's to ensure.
        chosen!(allocator => unsafe { allocator.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's to ensure.
        chosen!(allocator => unsafe { allocator.dealloc(pointer, layout) });
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's to ensure.
        chosen!(allocator => unsafe { allocator.realloc(pointer, layout, size) })
    }
}
