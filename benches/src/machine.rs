//! What the numbers were measured on and with.

use std::fs;
use std::process::Command;

/// What everything was measured with, by the lock file.
const LOCK: &str = include_str!("../Cargo.lock");

/// Crates whose versions the document names.
const PEERS: [&str; 19] = [
    "autometrics",
    "emit",
    "fastrace",
    "foundations",
    "foundations-metrics",
    "hotpath",
    "metrics",
    "metrics-exporter-prometheus",
    "opentelemetry",
    "opentelemetry_sdk",
    "prometheus",
    "prometheus-client",
    "serde_json",
    "slog",
    "slog-json",
    "tracing",
    "tracing-opentelemetry",
    "tracing-subscriber",
    "obs-runtime",
];

/// The peers, with their versions.
pub(crate) fn peers() -> String {
    PEERS.map(|name| format!("{name} {}", version(name))).join(", ")
}

/// When a section was measured, of which state of this project, and on what.
pub(crate) fn moment() -> String {
    let commit = printed("git", &["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short", "HEAD"]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "Measured on {}, at commit {commit}, on {}, {cores} cores; Linux {}; {}.",
        printed("date", &["--utc", "+%F"]),
        file_entry("/proc/cpuinfo", "model name").unwrap_or_else(|| "an unknown processor".to_owned()),
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        printed("rustc", &["--version"]),
    )
}

fn file_entry(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn printed(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output();
    output.map_or_else(
        |_| format!("no {command}"),
        |out| String::from_utf8_lossy(&out.stdout).trim().to_owned(),
    )
}

/// The newest version of a crate in the lock file: peers depend on older ones of each other.
fn version(name: &str) -> &'static str {
    let mut lines = LOCK.lines();
    let mut newest = "";
    let heading = format!("name = \"{name}\"");
    while lines.any(|line| line == heading) {
        let version = lines.next().and_then(|line| line.strip_prefix("version = \""));
        // The file is sorted, with versions in order.
        newest = version.map_or(newest, |version| version.trim_end_matches('"'));
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_a_version() {
        for peer in PEERS {
            assert!(version(peer).contains('.'), "{peer}");
        }
    }
}
