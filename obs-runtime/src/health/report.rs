//! What a probe is told, from the last results of the checks.

use super::Status;
use super::clock;
use super::registry::{Registered, all};
use super::spec::Probe;
use super::state::Standing;
use crate::context::{write_bool, write_f64, write_integer, write_string};
use crate::lifecycle::{Phase, phase};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The answer to a probe.
#[derive(Clone, Debug)]
pub struct Report {
    status: Status,
    output: Option<String>,
    checks: Vec<CheckReport>,
}

/// How one check stands.
#[derive(Clone, Debug)]
pub struct CheckReport {
    name: String,
    critical: bool,
    standing: Standing,
    failures: u64,
}

/// Answers a probe, from the last results of its checks: nothing is run for it.
///
/// Readiness and startup also ask whether the application has said that it [has started](crate::lifecycle::started), and
/// readiness whether it is about to end; and nothing is ready whose startup checks have not passed.
///
/// ```
/// use obs_runtime::health::{Probe, Status, report};
///
/// assert_eq!(report(Probe::Liveness).status(), Status::Pass);
/// assert_eq!(report(Probe::Readiness).status(), Status::Fail); // nobody has said that it has started
/// ```
#[must_use]
pub fn report(probe: Probe) -> Report {
    Report::new(probe, phase(), &all(), clock::now()).with_runtime(probe, trouble())
}

/// Name of the check that reports on the runtime itself. It is in a report only while it does not pass.
const RUNTIME: &str = "obs-runtime";

/// Why the runtime itself is degraded, if it is.
fn trouble() -> Option<String> {
    let dead = crate::threads::dead();
    let dead = (!dead.is_empty()).then(|| format!("threads have ended: {}", dead.join(", ")));
    #[cfg(feature = "log")]
    let lost = crate::log::trouble();
    #[cfg(not(feature = "log"))]
    let lost = None;
    let all: Vec<String> = dead.into_iter().chain(lost).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

impl Report {
    pub(super) fn new(probe: Probe, phase: Phase, all: &[impl AsRef<Registered>], now: Instant) -> Self {
        let asked = |check: &Registered| {
            check.spec.probe == probe || (probe == Probe::Readiness && check.spec.probe == Probe::Startup)
        };
        let checks: Vec<CheckReport> = all
            .iter()
            .map(AsRef::as_ref)
            .filter(|check| asked(check))
            .map(|check| CheckReport {
                name: check.spec.name.clone().into_owned(),
                critical: check.spec.critical,
                standing: check.standing(now),
                failures: check.counts().1,
            })
            .collect();
        let not_ready = match (probe, phase) {
            (Probe::Readiness | Probe::Startup, Phase::Starting) => Some(
                "starting: the application has not said that it has started, with `lifecycle::started()`",
            ),
            (Probe::Readiness, Phase::Ending) => Some("ending: no new requests, please"),
            _ => None,
        };
        let named = |checks: &mut dyn Iterator<Item = &CheckReport>| {
            checks.map(CheckReport::name).collect::<Vec<_>>().join(", ")
        };
        let failing =
            named(&mut checks.iter().filter(|check| check.critical && check.status() == Status::Fail));
        let degraded = named(&mut checks.iter().filter(|check| check.status() != Status::Pass));
        let (status, output) = match (not_ready, &*failing, &*degraded) {
            (Some(why), ..) => (Status::Fail, Some(why.to_owned())),
            (None, "", "") => (Status::Pass, None),
            (None, "", degraded) => (Status::Warn, Some(format!("degraded: {degraded}"))),
            (None, failing, _) => (Status::Fail, Some(format!("failing: {failing}"))),
        };
        Self { status, output, checks }
    }

    /// Adds the runtime's own trouble, which degrades liveness and readiness and never fails them: the service itself
    /// may be well.
    fn with_runtime(mut self, probe: Probe, trouble: Option<String>) -> Self {
        let Some(trouble) = trouble.filter(|_| probe != Probe::Startup) else { return self };
        if self.status != Status::Fail {
            let others = self.output.as_deref().and_then(|output| output.strip_prefix("degraded: "));
            let others = others.map_or(String::new(), |others| format!("{others}, "));
            self.output = Some(format!("degraded: {others}{RUNTIME}"));
            self.status = Status::Warn;
        }
        self.checks.push(CheckReport {
            name: RUNTIME.to_owned(),
            critical: false,
            standing: Standing { status: Status::Warn, output: Some(trouble), last: None, age: None },
            failures: 0,
        });
        self
    }

    /// The answer: it fails only where the application does not do what is asked for, or a critical check fails.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// What is to be said to that.
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        self.output.as_deref()
    }

    /// The checks that were asked.
    #[must_use]
    pub fn checks(&self) -> &[CheckReport] {
        &self.checks
    }

    /// As `application/health+json`: with each check if that is wanted, or the answer alone, which names none.
    #[must_use]
    pub fn to_json(&self, with_checks: bool) -> String {
        let mut out = b"{\"status\":".to_vec();
        write_string(&mut out, self.status.as_str());
        if let Some(output) = &self.output {
            out.extend_from_slice(b",\"output\":");
            // Names of checks are for those who may see the checks.
            let short = output.split_once(": ").map_or(&**output, |(what, _)| what);
            write_string(&mut out, if with_checks { output } else { short });
        }
        if with_checks {
            let service = crate::setup::service();
            for (key, value) in [("serviceId", service.name), ("version", service.version)] {
                if let Some(value) = value {
                    out.extend_from_slice(format!(",\"{key}\":").as_bytes());
                    write_string(&mut out, &value);
                }
            }
            out.extend_from_slice(b",\"checks\":{");
            for (place, check) in self.checks.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                check.write(&mut out);
            }
            out.push(b'}');
        }
        out.push(b'}');
        String::from_utf8_lossy(&out).into_owned()
    }
}

impl CheckReport {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its failure fails the probe.
    #[must_use]
    pub fn critical(&self) -> bool {
        self.critical
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.standing.status
    }

    /// Why it does not pass, or why its last run failed although it does.
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        self.standing.output.as_deref()
    }

    /// How long its last run took.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        Some(self.standing.last.as_ref()?.took)
    }

    /// How long ago that was.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.standing.age
    }

    /// A member of the draft's `checks`, which has further keys where there is more to tell.
    fn write(&self, out: &mut Vec<u8>) {
        write_string(out, &format!("{}:responseTime", self.name));
        out.extend_from_slice(b":[{\"status\":");
        write_string(out, self.status().as_str());
        out.extend_from_slice(b",\"critical\":");
        write_bool(out, self.critical);
        if let Some(output) = self.output() {
            out.extend_from_slice(b",\"output\":");
            write_string(out, output);
        }
        out.extend_from_slice(b",\"failures\":");
        write_integer(out, self.failures);
        if let Some(run) = &self.standing.last {
            out.extend_from_slice(b",\"observedValue\":");
            write_f64(out, millis(run.took));
            out.extend_from_slice(b",\"observedUnit\":\"ms\",\"time\":");
            write_string(out, &crate::time::rfc3339(unix_nanos(run.ended_at)));
        }
        if let Some(age) = self.age() {
            out.extend_from_slice(b",\"age_ms\":");
            write_f64(out, millis(age));
        }
        out.extend_from_slice(b"}]");
    }
}

fn millis(time: Duration) -> f64 {
    // To the microsecond: more is noise.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn unix_nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Spec;
    use std::sync::Arc;

    #[test]
    fn trouble_of_the_runtime_degrades_and_never_fails() {
        let check = Registered::new(
            Spec::new("cache"),
            Box::new(|| Box::pin(async { Ok(crate::health::Health::Good) })),
            None,
        );
        let of = |probe, phase, checks: &[Arc<Registered>]| {
            let report = Report::new(probe, phase, checks, Instant::now());
            report.with_runtime(probe, Some("threads have ended: obs-log".to_owned()))
        };
        for probe in [Probe::Liveness, Probe::Readiness] {
            let report = of(probe, Phase::Serving, &[]);
            assert_eq!((report.status(), report.output()), (Status::Warn, Some("degraded: obs-runtime")));
            assert_eq!(report.to_json(false), r#"{"status":"warn","output":"degraded"}"#);
            assert!(report.to_json(true).contains("threads have ended: obs-log"));
        }
        assert_eq!(of(Probe::Startup, Phase::Serving, &[]).status(), Status::Pass);
        let report = of(Probe::Readiness, Phase::Starting, &[check]);
        assert_eq!((report.status(), report.checks().len()), (Status::Fail, 2));
        assert!(report.output().is_some_and(|output| output.starts_with("starting")));
    }
}
