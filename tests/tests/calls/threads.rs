//! Spans that go from thread to thread: opened on one, entered, recorded to and cloned on others, closed on yet another.

use obs_runtime::observe;
use obs_tests::{attribute, recorder};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tracing::field::Empty;
use tracing::span::EnteredSpan;
use tracing::{Span, info, info_span};

/// Numbers that look random, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }
}

/// A span on its way, with what it should look like when it arrives.
struct Traveller {
    number: usize,
    hops: usize,
    chance: Chance,
    span: Span,
    clones: Vec<Span>,
    children: Vec<Span>,
    noted: Option<usize>,
}

enum Post {
    Traveller(Box<Traveller>),
    End,
}

#[observe(fields(story))]
fn called_on_the_way(story: usize) {
    let _ = story;
}

impl Traveller {
    fn departs(number: usize) -> Self {
        Self {
            number,
            hops: 12,
            chance: Chance(0x9e37_79b9 + number as u64),
            span: info_span!(parent: None, "travels", story = number, noted = Empty),
            clones: Vec::new(),
            children: Vec::new(),
            noted: None,
        }
    }

    /// One stop: something is done to the span on the thread that it has come to.
    fn stops(&mut self, held: &mut Vec<EnteredSpan>) {
        let number = self.number;
        match self.chance.below(8) {
            0 => self.clones.push(self.span.clone()),
            1 => drop(self.clones.pop()),
            2 => {
                self.noted = Some(self.hops);
                self.span.record("noted", self.hops);
            }
            3 => self.children.push(self.span.in_scope(|| info_span!("travels_along", story = number))),
            4 => drop(self.children.pop()),
            5 => self.span.in_scope(|| called_on_the_way(number)),
            // Stays entered here while the span goes on, and others come.
            6 => held.push(self.span.clone().entered()),
            _ => self.span.in_scope(|| {
                info!(says = number, noted_last = self.noted, "on the way");
            }),
        }
        if held.len() > 2 {
            drop(held.swap_remove(self.chance.below(3)));
        }
    }
}

/// A thread that spans come to and leave again, until the post says that it is over.
fn station(inbox: &Receiver<Post>, others: &[Sender<Post>], arrivals: &Sender<(usize, Option<usize>)>) {
    let mut held = Vec::new();
    while let Ok(Post::Traveller(mut traveller)) = inbox.recv() {
        traveller.stops(&mut held);
        traveller.hops -= 1;
        if traveller.hops == 0 {
            drop((traveller.span, traveller.clones, traveller.children));
            arrivals.send((traveller.number, traveller.noted)).expect("it waits");
        } else {
            let next = traveller.chance.below(others.len());
            others[next].send(Post::Traveller(traveller)).expect("it waits");
        }
    }
}

#[test]
fn spans_that_travel_keep_their_fields_and_parents() {
    const WAVES: usize = 10;
    // So few that no thread's ring is full before all are read.
    const WAVE: usize = 40;
    let recorder = recorder();
    let mut noted = HashMap::new();
    for wave in 0..WAVES {
        let (arrivals, arrived) = channel();
        let (senders, inboxes): (Vec<_>, Vec<_>) = (0..4).map(|_| channel()).unzip();
        thread::scope(|scope| {
            for inbox in inboxes {
                let (senders, arrivals) = (senders.clone(), arrivals.clone());
                scope.spawn(move || station(&inbox, &senders, &arrivals));
            }
            for number in wave * WAVE..(wave + 1) * WAVE {
                let traveller = Traveller::departs(number);
                senders[number % 4].send(Post::Traveller(Box::new(traveller))).expect("it waits");
            }
            noted.extend(arrived.iter().take(WAVE));
            for station in &senders {
                station.send(Post::End).expect("it waits");
            }
        });
        assert!(obs_runtime::flush(obs_tests::DEADLINE).finished);
    }

    let spans = recorder.spans("travels");
    let by_story: HashMap<String, _> =
        spans.iter().map(|span| (attribute(span, "story").expect("its field"), span)).collect();
    assert_eq!((spans.len(), by_story.len()), (WAVE * WAVES, WAVE * WAVES), "each ended once");
    for (number, noted) in &noted {
        let span = by_story[&number.to_string()];
        assert_eq!(attribute(span, "noted"), noted.map(|noted| noted.to_string()), "{span:?}");
    }
    let (children, calls) = (recorder.spans("travels_along"), recorder.spans("called_on_the_way"));
    assert!(!children.is_empty() && !calls.is_empty());
    assert_eq!(
        recorder.calls("called_on_the_way", "ok"),
        f64::from(u32::try_from(calls.len()).expect("few"))
    );
    for below in children.iter().chain(&calls) {
        let above = by_story[&attribute(below, "story").expect("its field")];
        assert_eq!(below.parent_span_id, above.span_context.span_id());
        assert_eq!(below.span_context.trace_id(), above.span_context.trace_id());
    }
    let lines = recorder.all_lines().into_iter().filter(|line| line["msg"] == "on the way");
    let mut said = 0;
    for line in lines {
        said += 1;
        assert_eq!((&line["story"], line.get("noted")), (&line["says"], line.get("noted_last")), "{line}");
        let span = by_story[&line["story"].to_string()];
        assert_eq!(line["span_id"], span.span_context.span_id().to_string());
    }
    assert!(said > 0);
}

#[observe(fields(round, said = Empty))]
fn is_seen_from_other_threads(round: usize, helpers: &[Sender<Span>], met: &Barrier) {
    let _ = round;
    for helper in helpers {
        helper.send(Span::current()).expect("it waits");
    }
    met.wait();
    for _ in 0..10 {
        info!("meanwhile");
    }
}

#[test]
fn a_calls_span_may_be_used_elsewhere_while_the_call_ends() {
    const HELPERS: usize = 3;
    const ROUNDS: usize = 200;
    let recorder = recorder();
    let met = Barrier::new(HELPERS + 1);
    thread::scope(|scope| {
        let helpers: Vec<_> = (0..HELPERS)
            .map(|_| {
                let (sender, spans) = channel::<Span>();
                let met = &met;
                scope.spawn(move || {
                    for span in spans {
                        met.wait();
                        span.record("said", "from elsewhere");
                        // By now the call may have ended.
                        span.in_scope(|| info!("from a helper"));
                        drop(span.clone());
                    }
                });
                sender
            })
            .collect();
        for round in 0..ROUNDS {
            is_seen_from_other_threads(round, &helpers, &met);
            if round % 50 == 0 {
                assert!(obs_runtime::flush(obs_tests::DEADLINE).finished);
            }
        }
    });
    assert_eq!(recorder.calls("is_seen_from_other_threads", "ok"), 200.0);
    assert_eq!(recorder.in_flight("is_seen_from_other_threads"), 0.0);
    let spans = recorder.spans("is_seen_from_other_threads");
    let rounds: HashMap<_, _> = spans
        .iter()
        .map(|span| (span.span_context.span_id().to_string(), attribute(span, "round").expect("its field")))
        .collect();
    assert_eq!((spans.len(), rounds.len()), (ROUNDS, ROUNDS));
    let lines = recorder.lines("is_seen_from_other_threads");
    let of = |message: &str| lines.iter().filter(|line| line["msg"] == message).count();
    assert_eq!((of("meanwhile"), of("from a helper")), (10 * ROUNDS, HELPERS * ROUNDS));
    for line in &lines {
        assert_eq!(line["round"].to_string(), rounds[line["span_id"].as_str().expect("text")], "{line}");
        if line["msg"] == "from a helper" {
            assert_eq!(line["said"], "from elsewhere", "what a thread recorded, it sees: {line}");
        }
    }
}

#[observe(fields(number, said = Empty))]
async fn is_polled_here_and_there(number: u32) {
    let _ = number;
    let span = Span::current();
    for step in 0..10 {
        let span = span.clone();
        tokio::spawn(async move {
            span.record("said", step);
        })
        .await
        .expect("no panic");
        tokio::task::yield_now().await;
        info!(step, "polled");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn futures_that_are_polled_on_many_threads_keep_their_fields() {
    let recorder = recorder();
    let tasks: Vec<_> = (0..50).map(|number| tokio::spawn(is_polled_here_and_there(number))).collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(recorder.calls("is_polled_here_and_there", "ok"), 50.0);
    let lines = recorder.lines("is_polled_here_and_there");
    let polled: Vec<_> = lines.iter().filter(|line| line["msg"] == "polled").collect();
    assert_eq!(polled.len(), 500);
    assert!(polled.iter().all(|line| line["said"] == line["step"]), "{polled:#?}");
    let spans = recorder.spans("is_polled_here_and_there");
    assert!(spans.len() == 50 && spans.iter().all(|span| attribute(span, "said").as_deref() == Some("9")));
}

#[test]
fn a_span_outlives_the_thread_that_opened_it() {
    let recorder = recorder();
    let opens = |number: u32| {
        // Never left and never closed: these are lost, and take nothing else with them.
        std::mem::forget(info_span!("lost_with_its_thread").entered());
        std::mem::forget(info_span!("lost_with_its_thread"));
        info_span!(parent: None, "outlives_its_thread", number, said = Empty)
    };
    // Each thread takes over the places of the one before, whose spans are open still.
    let spans: Vec<_> =
        (0..100).map(|number| thread::spawn(move || opens(number)).join().expect("no panic")).collect();
    for (number, span) in spans.into_iter().enumerate() {
        span.record("said", number);
        span.in_scope(|| info!(number_said = number, "after its thread"));
        thread::spawn(move || drop(span)).join().expect("no panic");
    }
    let spans = recorder.spans("outlives_its_thread");
    assert_eq!(spans.len(), 100);
    for span in spans {
        assert_eq!(attribute(&span, "number"), attribute(&span, "said"));
    }
    let lines = recorder.all_lines().into_iter().filter(|line| line["msg"] == "after its thread");
    let (lines, right): (Vec<_>, Vec<_>) =
        lines.map(|line| (line["number"] == line["number_said"], line)).unzip();
    assert!(lines.len() == 100 && lines.iter().all(|right| *right), "{right:#?}");
}

#[observe]
fn called_by_the_last_destructor() {}

/// Closes a span, and opens others, when its thread is nearly gone.
struct Last(Option<Span>);

impl Drop for Last {
    fn drop(&mut self) {
        drop(self.0.take());
        info_span!("opened_by_a_destructor").in_scope(called_by_the_last_destructor);
    }
}

#[test]
fn destructors_of_a_thread_may_close_and_open_spans() {
    thread_local!(static LAST: RefCell<Last> = const { RefCell::new(Last(None)) });
    let recorder = recorder();
    for early in [true, false].repeat(20) {
        let elsewhere = info_span!("closed_by_a_destructor");
        thread::spawn(move || {
            // Destructors run in the order, or against it, in which the values were made: both are tried.
            if early {
                LAST.with(|last| last.borrow_mut().0 = Some(elsewhere));
                info_span!("opened_before_the_end").in_scope(|| info!("still alive"));
            } else {
                info_span!("opened_before_the_end").in_scope(|| info!("still alive"));
                LAST.with(|last| last.borrow_mut().0 = Some(elsewhere));
            }
        })
        .join()
        .expect("no panic");
    }
    assert_eq!(recorder.calls("called_by_the_last_destructor", "ok"), 40.0, "never loses the count");
    assert_eq!(recorder.in_flight("called_by_the_last_destructor"), 0.0);
    assert_eq!(recorder.spans("opened_before_the_end").len(), 40);
    // A thread that has no ring any more can't hand a span over: that is counted.
    let closed = recorder.spans("closed_by_a_destructor").len();
    let dropped = obs_tests::total("obs_spans_dropped_total", &[]);
    let missing = f64::from(u32::try_from(40 - closed).expect("few"));
    assert!(dropped >= missing, "{closed} of 40 exported, {dropped} counted as dropped");
}
