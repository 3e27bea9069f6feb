//! The checks that there are.

use super::clock;
use super::declared::{CHECKS, Declared, Running, run};
use super::runner;
use super::spec::Spec;
use super::state::{Run, Standing, State};
use super::{CheckResult, Status};
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// More checks than anybody looks at. Each is some series and, while it runs, a thread.
const MOST: usize = 256;

/// What a check does.
pub(super) type Routine = Box<dyn Fn() -> Running + Send + Sync>;

/// A check that is registered.
pub(crate) struct Registered {
    pub(crate) spec: Spec,
    pub(super) routine: Routine,
    /// The runtime that it was registered in.
    pub(super) home: Option<Handle>,
    state: Mutex<State>,
    /// What runs it, to be stopped.
    watch: Mutex<Option<JoinHandle<()>>>,
}

struct Registry {
    started: bool,
    checks: Vec<Arc<Registered>>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { started: false, checks: Vec::new() });

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registered {
    pub(super) fn new(spec: Spec, routine: Routine, home: Option<Handle>) -> Arc<Self> {
        Arc::new(Self { spec, routine, home, state: Mutex::default(), watch: Mutex::default() })
    }

    fn of(declared: &Declared) -> Arc<Self> {
        Self::new(declared.spec.clone(), declared.routine(), None)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands at a moment [without stops](clock).
    pub(crate) fn standing(&self, now: Instant) -> Standing {
        self.state().standing(&self.spec, now)
    }

    /// How often it has run, and failed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.runs, state.failures)
    }

    /// Notes a run, and says so where it changes something. Returns whether there is nothing left to ask.
    pub(super) fn note(&self, run: Run) -> bool {
        let (changed, standing, has_passed) = {
            let mut state = self.state();
            let changed = state.note(&self.spec, run);
            (changed, state.standing(&self.spec, clock::now()), state.has_passed())
        };
        if let Some((before, now)) = changed {
            let spec = self.spec.clone();
            runner::aside(move || say(&spec, before, now, standing.output.as_deref()));
        }
        has_passed && self.spec.probe == super::Probe::Startup
    }

    /// Runs it from now on.
    fn watch(self: &Arc<Self>) {
        self.state().watched(clock::now());
        let task = runner::watch(self.clone());
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = task;
    }
}

/// What is said of a change.
fn say(spec: &Spec, before: Option<Status>, now: Status, why: Option<&str>) {
    const TARGET: &str = "obs_runtime::health";
    let (check, probe) = (&*spec.name, spec.probe.name());
    match now {
        Status::Pass if before.is_none() => {
            tracing::info!(target: TARGET, check, probe, "health check passes");
        }
        Status::Pass => tracing::info!(target: TARGET, check, probe, "health check passes again"),
        Status::Warn => {
            tracing::warn!(target: TARGET, check, probe, reason = why, "health check is degraded");
        }
        Status::Fail if spec.critical => {
            tracing::error!(target: TARGET, check, probe, error = why, "health check fails");
        }
        Status::Fail => tracing::warn!(target: TARGET, check, probe, error = why, "health check fails"),
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// Looks whether all that are declared can be registered.
pub(crate) fn verify() -> Result<(), RegisterError> {
    let mut checks = registry().checks.clone();
    for declared in CHECKS {
        fits(&declared.spec, &checks)?;
        checks.push(Registered::of(declared));
    }
    Ok(())
}

/// Runs all checks from now on: those that are declared, and those that have been registered.
pub(crate) fn start(home: Option<Handle>) {
    clock::start();
    home.into_iter().for_each(runner::adopt);
    let mut registry = registry();
    registry.started = true;
    registry.checks.extend(CHECKS.iter().map(Registered::of));
    registry.checks.iter().for_each(Registered::watch);
}

/// All that are registered now.
pub(crate) fn all() -> Vec<Arc<Registered>> {
    registry().checks.clone()
}

fn fits(spec: &Spec, checks: &[Arc<Registered>]) -> Result<(), RegisterError> {
    if let Some((setting, value, expected)) = spec.problem() {
        return Err(RegisterError::Invalid { setting, value, expected });
    }
    if checks.iter().any(|check| check.spec.name == spec.name) {
        return Err(RegisterError::NameTaken(spec.name.clone().into_owned()));
    }
    if checks.len() >= MOST {
        return Err(RegisterError::TooMany);
    }
    Ok(())
}

/// The settings of a check that is registered at run time.
#[derive(Clone, Debug)]
#[must_use = "a check is not registered before `register`"]
pub struct CheckBuilder {
    pub(super) spec: Spec,
}

impl CheckBuilder {
    pub(super) fn new(name: String) -> Self {
        Self { spec: Spec::named(Cow::Owned(name)) }
    }

    /// Registers the check. It runs as soon as the observability runtime has started, in the tokio runtime that this is
    /// called in, if it is called in one.
    ///
    /// # Errors
    /// A setting that makes no sense, a name that another check has, or too many checks: there can be 256.
    pub fn register<F, C>(self, check: C) -> Result<Check, RegisterError>
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output: CheckResult> + 'static,
    {
        let mut registry = registry();
        fits(&self.spec, &registry.checks)?;
        let registered =
            Registered::new(self.spec, Box::new(move || run(check())), Handle::try_current().ok());
        registry.checks.push(registered.clone());
        if registry.started {
            registered.watch();
        }
        Ok(Check(registered))
    }
}

/// A check that was registered at run time. It stays until it is [removed](Self::remove), also if this is dropped.
#[derive(Clone, Debug)]
pub struct Check(Arc<Registered>);

impl Check {
    /// Takes the check out of reports and metrics, and stops running it: a run that is under way is dropped.
    pub fn remove(self) {
        registry().checks.retain(|check| !Arc::ptr_eq(check, &self.0));
        let watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(watch), Ok(runtime)) = (watch, runner::runtime()) {
            watch.abort();
            runtime.spawn(async move {
                let _ = watch.await;
                // What the check holds may take its time to be dropped, or panic.
                tokio::task::spawn_blocking(move || drop(self));
            });
        }
    }
}

/// Why a check was not registered.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// A setting has a value that it does not take.
    Invalid {
        /// The method of [`CheckBuilder`], or `name`.
        setting: &'static str,
        /// What it was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// Another check has the name.
    NameTaken(String),
    /// There are 256 already.
    TooMany,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { setting, value, expected } => {
                write!(f, "the {setting} of a health check is {value}; it takes {expected}")
            }
            Self::NameTaken(name) => {
                write!(f, "there is a health check named {name:?} already; give this one another")
            }
            Self::TooMany => {
                write!(f, "there are {MOST} health checks already; remove those of things that are gone")
            }
        }
    }
}

impl std::error::Error for RegisterError {}
