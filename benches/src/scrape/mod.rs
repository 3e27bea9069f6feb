//! Scrapes: 200 functions, each with 64 series of 11 buckets that 8 threads have touched.

mod floor;
mod ours;
#[cfg(feature = "peers")]
mod peers;

use crate::Effort;
use crate::document::table;
use crate::numbers::{AIMS, Aim, short};
use crate::process::Worker;
use crate::statistics::Spread;
use crate::worker::pin;
use cpu_time::ThreadTime;
use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

const FUNCTIONS: usize = 200;
/// Each of two labels has so many values.
const VALUES: usize = 8;
const THREADS: usize = 8;
const SERIES: usize = FUNCTIONS * VALUES * VALUES;

/// Who keeps the metrics.
#[derive(Clone, Copy, Debug)]
struct Store {
    name: &'static str,
    start: fn(),
    /// Makes one call of a function, with these labels.
    touch: fn(Place),
    scrape: fn() -> String,
}

/// One series.
#[derive(Clone, Copy, Debug)]
struct Place {
    function: usize,
    a: usize,
    b: usize,
}

impl Place {
    fn all() -> impl Iterator<Item = Self> + Clone {
        let of = |number| Self {
            function: number / (VALUES * VALUES),
            a: number / VALUES % VALUES,
            b: number % VALUES,
        };
        (0..SERIES).map(of)
    }

    fn number(self) -> usize {
        (self.function * VALUES + self.a) * VALUES + self.b
    }
}

#[cfg(feature = "peers")]
const STORES: [Store; 5] =
    [floor::STORE, ours::STORE, peers::PROMETHEUS_CLIENT, peers::PROMETHEUS, peers::METRICS];
#[cfg(not(feature = "peers"))]
const STORES: [Store; 2] = [floor::STORE, ours::STORE];

/// Serves one store until standard input ends:
///
/// - `scrape` answers with the CPU nanoseconds and the lines of a scrape;
/// - `calls MILLIS` makes calls for so long, without scrapes and with, and answers for each with the CPU
///   nanoseconds of a call and the longest of ten thousand.
pub(crate) fn serve(name: &str) -> io::Result<()> {
    let store = STORES.iter().find(|store| store.name == name);
    let store = *store.ok_or_else(|| io::Error::other(format!("there is no store {name:?}")))?;
    pin(1);
    (store.start)();
    fill(store);
    let mut answers = io::stdout().lock();
    writeln!(answers, "ready")?;
    answers.flush()?;
    for command in io::stdin().lock().lines() {
        match command?.split_once(' ') {
            None => {
                let before = ThreadTime::now();
                let text = black_box((store.scrape)());
                writeln!(answers, "{} {}", before.elapsed().as_nanos(), text.lines().count())?;
            }
            Some((_, millis)) => {
                let time = Duration::from_millis(millis.parse().map_err(io::Error::other)?);
                let [alone, scraped] = [false, true].map(|scraping| calls(store, time, scraping));
                let (alone, scraped) = (alone?, scraped?);
                writeln!(answers, "{} {} {} {}", alone.nanos, alone.longest, scraped.nanos, scraped.longest)?;
            }
        }
        answers.flush()?;
    }
    Ok(())
}

/// Has all threads touch all series. They live on, as a service's threads do.
fn fill(store: Store) {
    let filled = Arc::new(Barrier::new(THREADS + 1));
    for _ in 0..THREADS {
        let filled = Arc::clone(&filled);
        thread::spawn(move || {
            Place::all().for_each(store.touch);
            filled.wait();
            loop {
                thread::park();
            }
        });
    }
    filled.wait();
}

/// What calls took.
#[derive(Clone, Copy, Debug)]
struct Took {
    /// A call, on average.
    nanos: f64,
    /// The longest of ten thousand, by the wall clock.
    longest: f64,
}

/// Makes calls on one core for so long, while another scrapes without a pause.
fn calls(store: Store, time: Duration, scraping: bool) -> io::Result<Took> {
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let caller = thread::Builder::new().spawn(move || {
        pin(0);
        let (started, cpu) = (Instant::now(), ThreadTime::now());
        let mut times = Vec::with_capacity(1 << 24);
        let mut places = Place::all().cycle();
        while started.elapsed() < time && times.len() < times.capacity() {
            let place = places.next().unwrap_or(Place { function: 0, a: 0, b: 0 });
            let before = Instant::now();
            (store.touch)(black_box(place));
            times.push(u32::try_from(before.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
        let cpu = cpu.elapsed();
        ended.store(true, Ordering::Relaxed);
        times.sort_unstable();
        let longest = times.get(times.len() - times.len() / 10_000 - 1).copied().unwrap_or_default();
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let nanos = cpu.as_nanos() as f64 / times.len() as f64;
        Took { nanos, longest: f64::from(longest) }
    })?;
    while !over.load(Ordering::Relaxed) {
        if scraping {
            black_box((store.scrape)());
        } else {
            thread::sleep(Duration::from_millis(1));
        }
    }
    caller.join().map_err(|_| io::Error::other("the calling thread panicked"))
}

/// Measures all stores in turn.
pub(crate) fn measure(effort: Effort) -> io::Result<String> {
    let (rounds, millis) = if effort == Effort::Smoke { (1, 10) } else { (15, 1_000) };
    let mut results = Vec::new();
    for Store { name, .. } in STORES {
        results.push((name, Worker::start(&["scraped", name])?, Vec::new(), 0.0));
    }
    for _ in 0..rounds {
        for (name, worker, times, size) in &mut results {
            let [nanos, lines] = worker.numbers("scrape")?;
            #[allow(clippy::cast_precision_loss, reason = "some 200,000")]
            if lines < (SERIES * 15) as f64 {
                return Err(io::Error::other(format!("{name} scraped only {lines} lines")));
            }
            times.push(nanos / 1e6);
            *size = lines;
        }
    }
    let mut rows = Vec::new();
    let mut medians = Vec::new();
    for (name, mut worker, times, lines) in results {
        let [alone, longest_alone, scraped, longest] = worker.numbers(&format!("calls {millis}"))?;
        let Spread { lower, median, upper } = Spread::of(&times);
        medians.push((name, median));
        rows.push(vec![
            name.to_owned(),
            short(median),
            format!("{} to {}", short(lower), short(upper)),
            short(lines),
            format!("{} to {}", short(alone), short(scraped)),
            format!("{} to {}", short(longest_alone / 1e3), short(longest / 1e3)),
        ]);
    }
    let of = |wanted| medians.iter().find(|(name, _)| *name == wanted).map(|(_, median)| *median);
    let ratio = of("prometheus-client").zip(of(ours::STORE.name)).map(|(peer, ours)| peer / ours);
    let name = "prometheus-client over obs".to_owned();
    let aim = Aim { name, measured: ratio, bound: 3.0, unit: "x" }.at_least();
    let head = [
        "",
        "CPU ms",
        "middle half",
        "lines",
        "a call meanwhile, CPU ns",
        "the longest of 10,000 meanwhile, µs",
    ];
    Ok(format!(
        "{FUNCTIONS} functions with {} series each, 11 buckets, touched by {THREADS} threads: what it takes to write \
         them as text, and what calls on another core feel, from no scrape at all to one after the other. Calls go \
         through all series, so caches are cold, and each is timed, which is in its nanoseconds. This project's text has some 13,000 lines \
         more: panics, counted from zero, and its own health.\n\n{}\n{}",
        VALUES * VALUES,
        table(&head, rows),
        table(&AIMS, [aim])
    ))
}
