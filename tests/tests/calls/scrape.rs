//! A scrape is consistent in itself, and with the one before, while functions are called.

use obs_runtime::metrics::{TextFormat, encode};
use obs_runtime::{Label, observe};
use obs_tests::recorder;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[derive(Clone, Copy, Debug, Label)]
enum Method {
    Card,
    Bank,
    Wallet,
}

#[derive(Clone, Copy, Debug, thiserror::Error, Label)]
enum Refused {
    #[error("declined")]
    Declined,
    #[error("timed out")]
    Timeout,
}

#[observe(labels(method), err(kind = Refused), no_span, no_log, buckets = [1e-7, 2e-7, 4e-7, 1e-6, 0.001])]
fn charged_meanwhile(method: Method, attempt: u32) -> Result<(), Refused> {
    match attempt % 4 {
        0 => Err(Refused::Declined),
        1 => Err(Refused::Timeout),
        _ => Ok(()),
    }
}

/// The samples of the function by name and labels; those of a bucket, by its series without `le`, in their order.
#[derive(Default)]
struct Scrape {
    samples: BTreeMap<(String, String), u64>,
    buckets: BTreeMap<String, Vec<u64>>,
}

fn scrape(format: TextFormat) -> Scrape {
    let mut scrape = Scrape::default();
    for line in encode(format).lines().filter(|line| line.contains("charged_meanwhile\"")) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').expect("labels");
        if name.ends_with("_sum") {
            continue;
        }
        let value = value.parse().expect("a count");
        match labels.strip_prefix("le=") {
            Some(labels) => {
                let (_, labels) = labels.split_once(',').expect("other labels");
                scrape.buckets.entry(labels.to_owned()).or_default().push(value);
            }
            None => drop(scrape.samples.insert((name.to_owned(), labels.to_owned()), value)),
        }
    }
    scrape
}

impl Scrape {
    fn sum(&self, name: &str, label: &str) -> u64 {
        let samples = self.samples.iter();
        samples.filter(|((n, labels), _)| n == name && labels.contains(label)).map(|(_, value)| value).sum()
    }

    fn assert_consistent(&self) {
        for (labels, buckets) in &self.buckets {
            assert!(buckets.is_sorted(), "{labels}: {buckets:?}");
            let count = &self.samples[&("function_duration_seconds_count".to_owned(), labels.clone())];
            assert_eq!(buckets.last(), Some(count), "{labels}");
        }
        for outcome in ["ok", "error", "panic"] {
            let label = format!("outcome=\"{outcome}\"");
            let calls = self.sum("function_calls_total", &label);
            assert_eq!(calls, self.sum("function_duration_seconds_count", &label), "{outcome}");
        }
    }
}

#[test]
fn what_is_scraped_while_functions_are_called_adds_up() {
    const CALLERS: u64 = 4;
    recorder();
    let done = AtomicBool::new(false);
    let called: u64 = thread::scope(|scope| {
        let call = || {
            let mut called = 0;
            while !done.load(Ordering::Relaxed) {
                for (method, attempt) in
                    [Method::Card, Method::Bank, Method::Wallet].into_iter().zip(called..)
                {
                    let _ = charged_meanwhile(method, attempt);
                }
                called += 3;
            }
            u64::from(called)
        };
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
        let mut last = Scrape::default();
        for format in [TextFormat::OpenMetrics, TextFormat::Prometheus].repeat(50) {
            let now = scrape(format);
            now.assert_consistent();
            let fell = last.samples.iter().find(|((name, labels), before)| {
                !name.ends_with("in_flight") && now.samples[&(name.clone(), labels.clone())] < **before
            });
            assert_eq!(fell, None);
            last = now;
        }
        done.store(true, Ordering::Relaxed);
        callers.into_iter().map(|caller| caller.join().expect("no panic")).sum()
    });
    for format in [TextFormat::OpenMetrics, TextFormat::Prometheus] {
        let scrape = scrape(format);
        scrape.assert_consistent();
        assert_eq!(scrape.sum("function_calls_total", ""), called);
        assert_eq!(scrape.sum("function_calls_in_flight", ""), 0);
    }
}
