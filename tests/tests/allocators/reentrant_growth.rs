//! An allocator of which only growing is observed: what the runtime has to grow while it holds a lock may end in itself.

use crate::Allocator;
use obs_runtime::observe;
use obs_tests::{DEADLINE, Lines, here, process};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

pub(crate) struct Observed;

// SAFETY: hands everything on to the system's.
unsafe impl GlobalAlloc for Observed {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's to ensure.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's to ensure.
        unsafe { System.dealloc(pointer, layout) }
    }

    #[observe(no_log)]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's to ensure.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

static ENDED: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Counting;

impl SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        ENDED.fetch_add(batch.iter().filter(|span| span.name == "first").count(), Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn threads_that_finish_their_first_span_do_not_wait_for_themselves() {
    const THREADS: usize = 40;
    let Some(_inside) = process::alone(here!()) else { return };
    Allocator::ObservedGrowth.choose();
    let _guard = obs_runtime::builder()
        .log_output(Lines::default())
        .no_admin()
        .span_exporter(Counting)
        .init()
        .expect("nothing else has been started");
    let barrier = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                // All alive at once, so that each has a ring of its own.
                barrier.wait();
                drop(tracing::info_span!("first").entered());
                barrier.wait();
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    obs_runtime::flush(DEADLINE);
    assert_eq!(ENDED.load(Ordering::Relaxed), THREADS);
}
