//! Log lines: valid JSON whatever the input, each key once, at the level that was asked for.

use obs_runtime::observe;
use obs_tests::recorder;
use std::fmt;
use std::time::Duration;
use tracing::Callsite;

#[allow(clippy::needless_pass_by_value, reason = "any type may be a field")]
#[observe(fields(text, %path, ?odd, number = f64::NAN, huge))]
fn logs_anything(text: &str, path: std::path::Display<'_>, odd: Option<&[u8]>, huge: &str) {
    tracing::info!(text = "inner", "level\u{0}\u{1b}[31m \"quoted\"\n\\ 😀");
    tracing::info!(level = 1, time = 2, msg = 3, target = 4, "keys of the line itself");
    tracing::info!(text = 1, text = 2, "the same key twice");
    tracing::info!(
        u = u64::MAX,
        i = i64::MIN,
        big = u128::MAX,
        f = 1e300,
        small = 1e-300,
        inf = f64::INFINITY,
        yes = true
    );
}

#[test]
fn every_line_is_json_whatever_the_input() {
    let recorder = recorder();
    let bytes = {
        use std::os::unix::ffi::OsStrExt;
        std::ffi::OsStr::from_bytes(b"/tmp/\xff\xfe").to_owned()
    };
    let all: String = (0..0x180).filter_map(char::from_u32).collect();
    let huge = "x".repeat(1_000_000);
    logs_anything(&all, std::path::Path::new(&bytes).display(), Some(b"\x00\xff"), &huge);
    let lines = recorder.lines("logs_anything");
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["msg"], "level\u{0}\u{1b}[31m \"quoted\"\n\\ 😀");
    assert_eq!(lines[0]["text"], "inner", "the event's own field replaces the span's");
    assert_eq!(lines[1]["text"], all);
    assert_eq!((&lines[1]["level"], &lines[1]["field.level"]), (&"INFO".into(), &1.into()));
    assert_eq!(lines[2]["text"], 2, "of equal keys the last");
    assert_eq!(lines[3]["u"], u64::MAX);
    assert_eq!(lines[3]["inf"], "inf");
    assert_eq!(lines[3]["number"], "NaN");
    let cut = lines[4]["huge"].as_str().expect("a string");
    assert!(cut.len() < 5_000 && cut.ends_with("bytes cut]"), "{}", cut.len());
}

/// An error with a source.
#[derive(Debug, thiserror::Error)]
#[error("the bank said no")]
struct Declined(#[source] fmt::Error);

/// A source that hands over one key-value and then fails or panics.
struct Breaks(bool);

impl log::kv::Source for Breaks {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn log::kv::VisitSource<'kvs>) -> Result<(), log::kv::Error> {
        visitor.visit_pair("first".into(), 1.into())?;
        assert!(self.0, "on purpose");
        Err(log::kv::Error::msg("no more"))
    }
}

#[observe(fields(order = "of the call", kept = 1))]
fn logs_key_values() {
    let (declined, absent) = (Declined(fmt::Error), None::<u32>);
    log::info!(order = "A-17"; "placed");
    log::info!(
        u = u64::MAX, i = i64::MIN, big = u128::MAX, small = i128::MIN, f = 1.5, float = 0.5_f32,
        infinite = f64::INFINITY, yes = true, letter = 'x', absent, bytes:? = [1, 2], shown:% = format_args!("{}!", 1),
        failure:err = declined, empty = (); "each type"
    );
    log::info!(level = 1, msg = 2, time = 3, trace_id = 4, span_id = 5, target = 6, function = 7; "its own keys");
    log::info!(twice = 1, twice = 2, "quoted \"key\"\u{202e}" = "\u{1b}"; "keys");
    log::info!(unprintable:% = Unprintable, after = 1; "one that panics");
    for breaks in [true, false] {
        let source = Breaks(breaks);
        let mut record = log::Record::builder();
        record.level(log::Level::Info).key_values(&source).args(format_args!("a source that breaks"));
        log::logger().log(&record.build());
    }
}

#[test]
fn key_values_of_log_are_fields_as_those_of_tracing() {
    let recorder = recorder();
    logs_key_values();
    let lines = recorder.lines("logs_key_values");
    assert_eq!((&lines[0]["order"], &lines[0]["kept"]), (&"A-17".into(), &1.into()), "the inner one");
    let types = &lines[1];
    assert_eq!((&types["u"], &types["i"]), (&u64::MAX.into(), &i64::MIN.into()));
    assert_eq!((&types["f"], &types["float"], &types["infinite"]), (&1.5.into(), &0.5.into(), &"inf".into()));
    assert_eq!((&types["yes"], &types["letter"]), (&true.into(), &"x".into()));
    assert_eq!((&types["bytes"], &types["shown"]), (&"[1, 2]".into(), &"1!".into()));
    assert_eq!(types["failure"].as_str(), Some(format!("the bank said no: {}", fmt::Error).as_str()));
    assert!(types.get("absent").is_none() && types.get("empty").is_none(), "{types}");
    let text = types.to_string();
    assert!(text.contains("\"big\":3.40") && text.contains("\"small\":-1.70"), "numbers: {text}");
    for (key, value) in [
        ("level", 1),
        ("msg", 2),
        ("time", 3),
        ("trace_id", 4),
        ("span_id", 5),
        ("target", 6),
        ("function", 7),
    ] {
        assert_eq!(lines[2][format!("field.{key}")], value, "{key}");
    }
    assert_eq!((&lines[3]["twice"], &lines[3]["quoted \"key\"\u{202e}"]), (&2.into(), &"\u{1b}".into()));
    let panicked = "[its formatter panicked]";
    assert_eq!((&lines[4]["unprintable"], &lines[4]["after"]), (&panicked.into(), &1.into()));
    for broken in &lines[5..7] {
        assert_eq!((&broken["msg"], &broken["first"]), (&"a source that breaks".into(), &1.into()));
    }
}

struct Recurses;

impl fmt::Display for Recurses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::info!("an event inside a formatter");
        takes_a_formatter(&Recurses);
        f.write_str("shown")
    }
}

#[observe(fields(%value), no_log)]
fn takes_a_formatter(value: &Recurses) {
    let _ = value;
}

#[test]
fn a_formatter_that_calls_us_does_not_recurse_without_end() {
    // Each nested call formats the value again only if it can be recorded, and it can't.
    let recorder = recorder();
    takes_a_formatter(&Recurses);
    assert!(recorder.calls("takes_a_formatter", "ok") >= 1.0);
}

#[observe(slow = "1ms")]
fn takes_its_time() {
    std::thread::sleep(Duration::from_millis(3));
}

#[observe(ok(level = "info"), level = "debug", target = "audit")]
fn logged_at_info() {}

#[observe(err(level = "warn"))]
fn fails_at_warn() -> Result<(), &'static str> {
    Err("not so bad")
}

#[observe(no_log)]
fn says_nothing() -> Result<(), &'static str> {
    Err("unheard")
}

#[test]
fn levels_are_those_of_the_attribute() {
    let recorder = recorder();
    takes_its_time();
    let slow = recorder.end_line("takes_its_time");
    assert_eq!((&slow["level"], &slow["outcome"]), (&"WARN".into(), &"ok".into()));
    assert!(slow["duration_ms"].as_f64() >= Some(2.5), "{slow}");
    logged_at_info();
    let line = recorder.end_line("logged_at_info");
    assert_eq!((&line["level"], &line["target"]), (&"INFO".into(), &"audit".into()));
    fails_at_warn().expect_err("failed");
    assert_eq!(recorder.end_line("fails_at_warn")["level"], "WARN");
    says_nothing().expect_err("failed");
    assert!(recorder.lines("says_nothing").is_empty());
}

#[test]
fn lines_of_many_threads_are_whole_and_in_order() {
    let recorder = recorder();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for number in 0..200 {
                    tracing::info!(target: "many", thread, number, padding = "x".repeat(number % 97));
                }
            });
        }
    });
    let lines: Vec<_> = recorder.all_lines().into_iter().filter(|line| line["target"] == "many").collect();
    assert_eq!(lines.len(), 8 * 200);
    for thread in 0..8 {
        let numbers: Vec<_> = lines
            .iter()
            .filter(|line| line["thread"] == thread)
            .map(|line| line["number"].as_u64())
            .collect();
        assert!(numbers.iter().copied().eq((0..200).map(Some)), "thread {thread}");
    }
}

#[test]
fn a_burst_of_two_thousand_lines_is_not_lost() {
    let recorder = recorder();
    std::thread::spawn(|| {
        for number in 0..2_000 {
            tracing::info!(target: "burst", number, "one of many lines that a service prints when it starts");
        }
    })
    .join()
    .expect("no panic");
    assert_eq!(recorder.all_lines().iter().filter(|line| line["target"] == "burst").count(), 2_000);
}

#[derive(Debug)]
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("on purpose")
    }
}

impl std::error::Error for Unprintable {}

#[observe(fields(cause = &Unprintable as &(dyn std::error::Error + 'static)))]
fn has_an_unprintable_field() -> Result<(), Unprintable> {
    tracing::error!(error = &Unprintable as &(dyn std::error::Error + 'static), "went wrong");
    Err(Unprintable)
}

#[test]
fn an_error_that_can_not_be_printed_takes_nobody_down() {
    let recorder = recorder();
    has_an_unprintable_field().expect_err("failed");
    let lines = recorder.lines("has_an_unprintable_field");
    assert_eq!(lines[0]["error"], "[its formatter panicked]");
    assert_eq!(
        (&lines[1]["cause"], &lines[1]["outcome"]),
        (&"[its formatter panicked]".into(), &"error".into())
    );
}

#[test]
fn a_deadline_without_end_is_no_error() {
    let _recorder = recorder();
    assert!(obs_runtime::flush(Duration::MAX).finished);
}

/// An event whose field has the key of one that is around it at times.
fn says_its_own_place(place: u32) {
    tracing::info!(target: "said", place, "own");
}

#[observe(fields(place), no_log)]
fn says_where_it_is(place: &str) {
    tracing::info!(target: "said", "function");
    says_its_own_place(7);
}

#[test]
fn each_line_says_where_it_is_now() {
    let recorder = recorder();
    let span = tracing::info_span!("span", place = "outside", later = tracing::field::Empty);
    let said = |text: &str| tracing::info!(target: "said", text);
    says_its_own_place(1);
    span.in_scope(|| {
        said("first");
        says_its_own_place(2);
        span.record("later", "recorded");
        said("second");
        says_where_it_is("inside");
        {
            let _entered = obs_runtime::context!(place = "of a context").enter();
            said("third");
        }
        says_its_own_place(3);
        said("fourth");
    });
    said("fifth");
    says_its_own_place(4);
    let lines = recorder.all_lines().into_iter().filter(|line| line["target"] == "said");
    let lines: Vec<_> = lines
        .map(|line| {
            let of = |key: &str| line[key].to_string().trim_matches('"').to_owned();
            let function = of("function").rsplit("::").next().unwrap_or_default().to_owned();
            let what = if line["msg"] == "" { of("text") } else { of("msg") };
            format!("{what}: {} {} {function} {}", of("place"), of("later"), !line["span_id"].is_null())
        })
        .collect();
    assert_eq!(
        lines,
        [
            "own: 1 null null false",
            "first: outside null null true",
            "own: 2 null null true",
            "second: outside recorded null true",
            "function: inside recorded says_where_it_is true",
            "own: 7 recorded says_where_it_is true",
            "third: of a context recorded null true",
            "own: 3 recorded null true",
            "fourth: outside recorded null true",
            "fifth: null null null false",
            "own: 4 null null false",
        ]
    );
}

#[test]
fn a_message_may_stand_anywhere_or_be_none() {
    let recorder = recorder();
    tracing::info!(target: "message", a = 1, message = "late", b = 2);
    tracing::info!(target: "message", message = 5, c = 3);
    tracing::info!(target: "message", d = 4);
    tracing::info!(target: "message", message = "text", message = "again");
    let lines: Vec<_> = recorder.all_lines().into_iter().filter(|line| line["target"] == "message").collect();
    assert_eq!((&lines[0]["msg"], &lines[0]["a"], &lines[0]["b"]), (&"late".into(), &1.into(), &2.into()));
    assert_eq!((&lines[1]["msg"], &lines[1]["message"], &lines[1]["c"]), (&"".into(), &5.into(), &3.into()));
    assert_eq!((&lines[2]["msg"], &lines[2]["d"]), (&"".into(), &4.into()));
    assert_eq!(lines[3]["msg"], "again", "of two the last");
}

#[test]
fn values_may_come_in_any_order_and_twice() {
    let recorder = recorder();
    let callsite = tracing::callsite!(
        name: "by hand",
        kind: tracing::metadata::Kind::EVENT,
        target: "by_hand",
        level: tracing::Level::INFO,
        fields: message, a
    );
    let metadata = callsite.metadata();
    let [message, a] = ["message", "a"].map(|name| metadata.fields().field(name).expect("declared"));
    let [one, two]: [Option<&dyn tracing::Value>; 2] = [Some(&1_u64), Some(&2_u64)];
    let [text, other]: [Option<&dyn tracing::Value>; 2] = [Some(&"text"), Some(&"other")];
    for values in [
        [(&message, text), (&a, one), (&a, one)],
        [(&a, one), (&message, text), (&a, two)],
        [(&message, text), (&message, other), (&a, two)],
    ] {
        tracing::Event::dispatch(metadata, &metadata.fields().value_set(&values));
    }
    let lines: Vec<_> = recorder.all_lines().into_iter().filter(|line| line["target"] == "by_hand").collect();
    let said: Vec<_> = lines.iter().map(|line| format!("{} {}", line["msg"], line["a"])).collect();
    assert_eq!(said, ["\"text\" 1", "\"text\" 2", "\"other\" 2"]);
}

/// Records something in a span when it is shown.
struct Records(tracing::Span);

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.record("user", 7);
        f.write_str("recorded")
    }
}

#[test]
fn no_key_comes_twice() {
    let recorder = recorder();
    tracing::info!(target: "keys", level = 1, field.level = 2, "both are the same key");
    let span = tracing::info_span!("span", user = tracing::field::Empty);
    span.in_scope(|| tracing::info!(target: "keys", user = 1, "{}", Records(span.clone())));
    // Which looks for keys that come twice.
    let lines: Vec<_> = recorder.all_lines().into_iter().filter(|line| line["target"] == "keys").collect();
    assert_eq!((&lines[0]["field.level"], &lines[1]["user"]), (&2.into(), &1.into()));
    assert_eq!((&lines[1]["msg"], lines.len()), (&"recorded".into(), 2));
}
