//! Names of collectors: looked up on one thread per exporter at most, however often a lookup times out.
//!
//! The system's lookup can't be interrupted. A request whose time is up leaves the lookup behind, and the next one waits
//! for the same lookup.

use crate::busy;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long addresses are good for that were found after the request for them had ended.
const FRESH: Duration = Duration::from_secs(30);

/// The longest that is waited for a lookup.
const LONGEST: Duration = Duration::from_secs(60 * 60);

type Found = io::Result<Vec<SocketAddr>>;

/// Looks names up on one thread.
pub(super) struct OneLookup {
    lookup: Arc<dyn Fn(&str) -> Found + Send + Sync>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether there is a thread.
    running: bool,
    /// The outcome of the last lookup, unless it was taken: of this host and port, at this time.
    last: Option<(String, Instant, Found)>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OneLookup {
    /// Lookups by the system.
    pub(super) fn by_system() -> Self {
        Self::by(|host| Ok(host.to_socket_addrs()?.collect()))
    }

    fn by(lookup: impl Fn(&str) -> Found + Send + Sync + 'static) -> Self {
        Self { lookup: Arc::new(lookup), shared: Arc::default() }
    }

    /// The addresses of a host with its port; `None` if they are not found in time.
    fn find(&self, host: &str, within: Duration) -> Option<Found> {
        let until = Instant::now() + within.min(LONGEST);
        let mut state = self.shared.lock();
        // A failure that no request has waited for may have passed.
        state.last.take_if(|(_, _, found)| found.is_err());
        loop {
            let last = state.last.take().filter(|(of, at, _)| of == host && at.elapsed() < FRESH);
            if let Some((_, _, found)) = last {
                return Some(found);
            }
            if !state.running {
                if let Err(error) = self.start(host) {
                    return Some(Err(error));
                }
                state.running = true;
            }
            let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn start(&self, host: &str) -> io::Result<()> {
        let (host, lookup, shared) = (host.to_owned(), Arc::clone(&self.lookup), Arc::clone(&self.shared));
        thread::Builder::new().name("obs-resolve".into()).spawn(move || {
            let _busy = busy::now();
            let found = catch_unwind(AssertUnwindSafe(|| lookup(&host)))
                .unwrap_or_else(|_| Err(io::Error::other("the lookup panicked")));
            let mut state = shared.lock();
            state.running = false;
            state.last = Some((host, Instant::now(), found));
            drop(state);
            shared.changed.notify_all();
        })?;
        Ok(())
    }
}

impl fmt::Debug for OneLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneLookup").finish_non_exhaustive()
    }
}

impl Resolver for OneLookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.scheme().zip(uri.authority());
        let host = host.and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority));
        let host = host.ok_or_else(|| ureq::Error::BadUri(uri.to_string()))?;
        let found = match host.parse::<SocketAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.find(&host, *timeout.after).ok_or(ureq::Error::Timeout(timeout.reason))??,
        };
        let unset = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut addresses = ResolvedSocketAddrs::from_fn(|_| unset);
        // As many as there is room for.
        for address in config.ip_family().keep_wanted(found.into_iter()).take(16) {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn lookups_that_time_out_share_one_thread_and_its_outcome() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        let (answer, answers) = channel::<Found>();
        let answers = Mutex::new(answers);
        let resolver = OneLookup::by(move |_| {
            BEGUN.fetch_add(1, Ordering::SeqCst);
            answers.lock().expect("no panic").recv().expect("an answer")
        });
        for _ in 0..20 {
            assert!(resolver.find("collector:4318", SOON).is_none(), "no server answers");
        }
        assert_eq!(BEGUN.load(Ordering::SeqCst), 1);
        let address: SocketAddr = "127.0.0.1:1".parse().expect("valid");
        answer.send(Ok(vec![address])).expect("alive");
        assert_eq!(resolver.find("collector:4318", LONG).expect("in time").expect("found"), [address]);
        assert_eq!(BEGUN.load(Ordering::SeqCst), 1);

        answer.send(Err(io::Error::other("no such host"))).expect("alive");
        assert!(resolver.find("collector:4318", LONG).expect("in time").is_err());
        answer.send(Ok(Vec::new())).expect("alive");
        assert!(resolver.find("other:4318", LONG).expect("in time").expect("found").is_empty());
        assert_eq!(BEGUN.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_lookup_that_panics_is_a_failure() {
        let resolver = OneLookup::by(|_| panic!("on purpose"));
        assert!(resolver.find("collector:4318", LONG).expect("in time").is_err());
        assert!(resolver.find("collector:4318", LONG).expect("in time").is_err());
    }
}
