//! The connections of the admin server: their number is limited, and clients that only hold one keep no other client out.

use super::client::{Phase, Progress};
use super::refusal::Refusal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The number of connections at once, besides those whose request has a turn. For each further one another is closed.
const CONNECTIONS: usize = 128;
/// The time that a client has for reading an answer while requests wait for their turn.
const READ_TIME: Duration = Duration::from_secs(5);

/// The connections that are open.
#[derive(Default)]
pub(super) struct Connections(Mutex<Vec<Progress>>);

impl Connections {
    fn all(&self) -> MutexGuard<'_, Vec<Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in. If there are [`CONNECTIONS`] without a turn already, the one is closed that has been without a
    /// complete request for the longest time; if each has one, the one that has waited longest for its turn, or for its
    /// client to read. A connection whose request is being served is never closed.
    pub(super) fn enter(self: &Arc<Self>, progress: &Progress) -> Place {
        let mut all = self.all();
        loop {
            let (mut without_turn, mut first) = (0, None);
            for (place, open) in all.iter().enumerate() {
                let Some((phase, since)) = open.phase_without_turn() else { continue };
                without_turn += 1;
                let candidate = (phase != Phase::Arriving, since, place);
                if phase != Phase::Serving && first.is_none_or(|first| candidate < first) {
                    first = Some(candidate);
                }
            }
            match first {
                Some((_, _, place)) if without_turn >= CONNECTIONS => close(&all.swap_remove(place)),
                _ => break,
            }
        }
        all.push(progress.clone());
        Place { connections: Arc::clone(self), progress: progress.clone() }
    }

    /// Closes the connection whose client has been reading an answer for the longest time, if that is too long.
    pub(super) fn close_slow_reader(&self) {
        let mut all = self.all();
        let writing = all.iter().enumerate().filter_map(|(place, progress)| match progress.phase() {
            (Phase::Writing, since) => Some((since, place)),
            _ => None,
        });
        let slowest = writing.min().filter(|(since, _)| *since + READ_TIME <= Instant::now());
        if let Some((_, place)) = slowest {
            close(&all.swap_remove(place));
        }
    }
}

fn close(progress: &Progress) {
    progress.close();
    Refusal::Connections.count();
}

/// A connection among those that are open, until this is dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    progress: Progress,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.all().retain(|progress| !progress.is(&self.progress));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;
    use tokio::time::advance;

    async fn filled() -> (Arc<Connections>, Vec<(Progress, Place)>) {
        let connections = Arc::new(Connections::default());
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(entered(&connections));
            advance(Duration::from_millis(1)).await;
        }
        (connections, open)
    }

    fn entered(connections: &Arc<Connections>) -> (Progress, Place) {
        let progress = Progress::new();
        let place = connections.enter(&progress);
        (progress, place)
    }

    fn is_open(connections: &Connections, progress: &Progress) -> bool {
        connections.all().iter().any(|open| open.is(progress))
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_without_a_complete_request_is_closed_first() {
        let (connections, open) = filled().await;
        let turns = Arc::new(Semaphore::new(1));
        open[0].0.is_served(turns.try_acquire_owned().ok());
        let mut more = vec![entered(&connections)];
        assert_eq!(connections.all().len(), CONNECTIONS + 1, "one with a turn needs no place");
        open[1].0.is_answered();
        open[2].0.queues();
        // Another request of the same client begins, and is not complete.
        open[3].0.is_served(None);
        open[3].0.arrives();
        for (place, (closed, _)) in open.iter().enumerate().skip(4).take(3) {
            assert!(is_open(&connections, closed), "{place}");
            more.push(entered(&connections));
            assert!(!is_open(&connections, closed), "{place}");
            assert!(open[..4].iter().all(|(progress, _)| is_open(&connections, progress)), "{place}");
            // One that has ended by itself leaves its place.
            more.pop();
            more.push(entered(&connections));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_served_is_never_closed() {
        let (connections, open) = filled().await;
        open[1..].iter().for_each(|(progress, _)| progress.is_served(None));
        open[0].0.queues();
        let _more = entered(&connections);
        assert!(!is_open(&connections, &open[0].0));
        assert!(open[1..].iter().all(|(progress, _)| is_open(&connections, progress)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gives_its_turn_to_a_request_that_waits() {
        let (connections, turns) = (Arc::new(Connections::default()), Arc::new(Semaphore::new(2)));
        let open: Vec<_> = (0..2).map(|_| entered(&connections)).collect();
        for (progress, _) in &open {
            progress.is_served(Arc::clone(&turns).try_acquire_owned().ok());
        }
        advance(2 * READ_TIME).await;
        connections.close_slow_reader();
        assert!(is_open(&connections, &open[0].0), "its answer is being made");
        open[1].0.is_answered();
        advance(READ_TIME / 2).await;
        connections.close_slow_reader();
        assert!(is_open(&connections, &open[1].0), "it has time to read");
        advance(READ_TIME).await;
        connections.close_slow_reader();
        assert!(is_open(&connections, &open[0].0) && !is_open(&connections, &open[1].0));
    }
}
