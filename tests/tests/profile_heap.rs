//! A program that leaks, and its heap profile as `go tool pprof` and others get it.

#![cfg(target_os = "linux")]

use obs_tests::pprof::{get, read};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const MIB: i64 = 1 << 20;
const LEAK: &str = "leaky::leak_much";

/// `leaky serve`, until it is dropped.
struct Leaky {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Leaky {
    fn start(settings: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leaky"));
        if let Some(settings) = settings {
            command.env("_RJEM_MALLOC_CONF", settings);
        }
        let mut child =
            command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut leaky = Self { child, input, output, address: String::new() };
        leaky.address = leaky.line();
        leaky
    }

    /// The next line that is not a log line.
    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).expect("a line") > 0, "it ended");
            if !line.starts_with('{') {
                return line.trim().to_owned();
            }
        }
    }

    fn leak_more(&mut self) {
        self.input.write_all(b"\n").expect("it reads");
        assert_eq!(self.line(), "leaked");
    }
}

impl Drop for Leaky {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// By a quarter too little or too much, samples may be wrong.
fn about(value: i64, mebibytes: i64) -> bool {
    (mebibytes * MIB * 3 / 4..mebibytes * MIB * 5 / 4).contains(&value)
}

#[test]
fn the_function_that_leaks_comes_first() {
    let leaky = Leaky::start(None);
    let answer = get(&leaky.address, "/debug/pprof/heap");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"heap.pb.gz\""));
    let profile = read(&answer.body);
    assert_eq!(
        profile.columns(),
        ["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"]
    );
    let in_use = profile.flat("inuse_space");
    assert_eq!(in_use[0].0, LEAK, "{in_use:?}");
    assert!(about(in_use[0].1, 256), "{in_use:?}");
    let of = |column: &str, function: &str| {
        profile.flat(column).iter().find(|(name, _)| name == function).map_or(0, |(_, value)| *value)
    };
    assert!(about(of("inuse_objects", LEAK) * (16 << 10), 256), "{in_use:?}");
    let (gone, shortly) = (of("inuse_space", "leaky::use_shortly"), of("alloc_space", "leaky::use_shortly"));
    assert!(gone < MIB && about(shortly, 256), "{gone} {shortly}");
    if go_is_there() {
        let file = std::env::temp_dir().join(format!("leaky-{}.pb.gz", std::process::id()));
        std::fs::write(&file, &answer.body).expect("written");
        let top = Command::new("go").args(["tool", "pprof", "-top"]).arg(&file).output().expect("it runs");
        let _ = std::fs::remove_file(&file);
        let text = String::from_utf8(top.stdout).expect("UTF-8");
        assert!(top.status.success(), "{text} {}", String::from_utf8_lossy(&top.stderr));
        let first = text.lines().skip_while(|line| !line.contains("flat%")).nth(1);
        assert!(
            first.is_some_and(|line| line.ends_with(LEAK)) && text.contains("Type: inuse_space"),
            "{text}"
        );
    }
}

#[test]
fn a_difference_is_what_came_meanwhile() {
    // So few bytes would be sixteen samples, give or take four.
    let mut leaky = Leaky::start(Some("lg_prof_sample:14"));
    let address = leaky.address.clone();
    let asking = std::thread::spawn(move || get(&address, "/debug/pprof/heap?seconds=2"));
    std::thread::sleep(std::time::Duration::from_secs(1));
    leaky.leak_more();
    let answer = asking.join().expect("no panic");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let profile = read(&answer.body);
    let in_use = profile.flat("inuse_space");
    // It may have come before the first of the two where the machine is busy.
    assert!(in_use.iter().all(|(name, value)| name != LEAK || about(*value, 8)), "{in_use:?}");
    assert!(profile.duration() >= std::time::Duration::from_secs(2));
    let svg = get(&leaky.address, "/debug/pprof/heap.svg");
    assert_eq!((svg.status, svg.header("content-type")), (200, Some("image/svg+xml")));
    assert!(svg.text().contains(LEAK), "{}", svg.text());
}

/// A profile shows the program, and not the memory that earlier profiles have needed.
#[test]
fn a_profile_does_not_show_itself() {
    let leaky = Leaky::start(Some("lg_prof_sample:14"));
    for form in ["heap?debug=1", "heap", "heap?debug=1", "heap.svg", "heap?seconds=1", "profile?seconds=1"] {
        let _ = get(&leaky.address, &format!("/debug/pprof/{form}"));
    }
    let profile = read(&get(&leaky.address, "/debug/pprof/heap").body);
    let allocated = profile.flat("alloc_space");
    let own = |name: &str| {
        let parts =
            ["obs_runtime::profile", "obs_runtime::admin::profiles", "gimli::", "object::", "backtrace"];
        parts
            .into_iter()
            .chain(["rustc_demangle", "prost::", "flate2", "inferno"])
            .any(|part| name.contains(part))
    };
    let all: i64 = allocated.iter().map(|(_, bytes)| bytes).sum();
    let of_profiles: i64 = allocated.iter().filter(|(name, _)| own(name)).map(|(_, bytes)| bytes).sum();
    assert!(all > 500 * MIB && of_profiles <= all / 20, "{of_profiles} of {all}: {allocated:?}");
}

#[test]
fn turned_off_it_says_how_to_turn_it_on() {
    let leaky = Leaky::start(Some("prof:false"));
    let answer = get(&leaky.address, "/debug/pprof/heap");
    assert_eq!(answer.status, 501);
    assert!(answer.text().contains("take `prof:false`"), "{}", answer.text());
    let index = get(&leaky.address, "/debug/pprof/").text();
    assert!(index.contains("take `prof:false`") && index.contains("<a href=\"block\">"), "{index}");
}

#[test]
fn a_profile_needs_little_memory() {
    let measured =
        Command::new(env!("CARGO_BIN_EXE_leaky")).args(["measure", "1024"]).output().expect("it runs");
    let text = String::from_utf8(measured.stdout).expect("UTF-8");
    let needed: u64 = text.split_once(" KiB").and_then(|(needed, _)| needed.parse().ok()).expect(&text);
    assert!(measured.status.success() && needed < 64 << 10, "{text}");
}

/// Whether `go` is there, which has to be where `OBS_REQUIRE_GO` says so.
fn go_is_there() -> bool {
    let there = Command::new("go").arg("version").output().is_ok_and(|output| output.status.success());
    assert!(there || std::env::var_os("OBS_REQUIRE_GO").is_none(), "`go` is not on the PATH");
    there
}
