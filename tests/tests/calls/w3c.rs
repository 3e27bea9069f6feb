//! Headers by the letter of their specifications: W3C Trace Context and W3C Baggage.

use obs_runtime::propagation::{extract, inject};
use obs_runtime::{Context, TraceContext};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// What a service sends on that has received these headers, and does nothing else with them.
fn sent_on(received: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut sent = Vec::new();
    extract(received).run(|| inject(&mut sent));
    sent
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn traceparent() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

/// The `tracestate` that is sent on after these were received.
fn state_after(states: &[&str]) -> Option<String> {
    let parent = traceparent();
    let mut received = vec![("traceparent", parent.as_str())];
    received.extend(states.iter().map(|state| ("tracestate", *state)));
    header(&sent_on(&received), "tracestate").map(str::to_owned)
}

#[test]
fn a_valid_traceparent_is_gone_on_with() {
    let valid = [
        (format!("00-{TRACE}-{SPAN}-01"), true, "sampled"),
        (format!("00-{TRACE}-{SPAN}-00"), false, "not sampled"),
        (format!("00-{TRACE}-{SPAN}-02"), false, "a flag that level 2 defines"),
        (format!("00-{TRACE}-{SPAN}-03"), true, "both flags"),
        (format!("00-{TRACE}-{SPAN}-ff"), true, "flags of the future"),
        (format!("00-{TRACE}-{SPAN}-fc"), false, "flags of the future alone"),
        (format!("01-{TRACE}-{SPAN}-01"), true, "a later version"),
        (format!("cc-{TRACE}-{SPAN}-01"), true, "a much later version"),
        (format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"), true, "a later version says more"),
        ("00-12345678901234567890123456789012-1234567890123456-01".to_owned(), true, "digits alone"),
        (format!(" 00-{TRACE}-{SPAN}-01\t"), true, "white space around a header's value is not part of it"),
    ];
    for (value, sampled, why) in &valid {
        let context = extract(&[("traceparent", value)][..]);
        let trace = context.trace().unwrap_or_else(|| panic!("{why}: {value}"));
        assert_eq!(trace.sampled, *sampled, "{why}: {value}");
        let sent = sent_on(&[("traceparent", value)]);
        let sent = header(&sent, "traceparent").expect("sent on");
        assert_eq!(sent.len(), 55, "always of the version that we know: {sent}");
        let flags = u8::from_str_radix(value.trim().get(53..55).expect("flags"), 16).expect("a number");
        assert!(sent.ends_with(&format!("-{:02x}", flags & 3)), "{why}: flags that we know: {sent}");
        assert_eq!(&sent[..53], &format!("00-{}", value.trim()[3..].get(..50).expect("long enough")));
    }
    assert!(extract(&[("TraceParent", traceparent().as_str())][..]).trace().is_some(), "names have no case");
}

#[test]
fn an_invalid_traceparent_is_no_traceparent() {
    let invalid = [
        (String::new(), "empty"),
        (format!("ff-{TRACE}-{SPAN}-01"), "version 255"),
        (format!("0-{TRACE}-{SPAN}-01"), "a short version"),
        (format!("000-{TRACE}-{SPAN}-01"), "a long version"),
        (format!(".0-{TRACE}-{SPAN}-01"), "a version that is no number"),
        (format!("0X-{TRACE}-{SPAN}-01"), "an upper-case version"),
        (format!("00-{TRACE}-{SPAN}-01-what-the-future-will-be-like"), "version 0 says no more"),
        (format!("00-{TRACE}-{SPAN}-01."), "version 0 ends there"),
        (format!("cc-{TRACE}-{SPAN}-01.what-the-future-will-be-like"), "what follows begins with a dash"),
        (format!("00-{}-{SPAN}-01", "0".repeat(32)), "a trace id of zeros"),
        (format!("00-{TRACE}-{}-01", "0".repeat(16)), "a span id of zeros"),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), "an upper-case trace id"),
        (format!("00-{TRACE}-{}-01", SPAN.to_uppercase()), "an upper-case span id"),
        (format!("00-.{}-{SPAN}-01", &TRACE[1..]), "a trace id that is no number"),
        (format!("00-{TRACE}-.{}-01", &SPAN[1..]), "a span id that is no number"),
        (format!("00-+{}-{SPAN}-01", &TRACE[1..]), "a sign"),
        (format!("00-{}-{SPAN}-01", &TRACE[..31]), "a short trace id"),
        (format!("00-{TRACE}0-{SPAN}-01"), "a long trace id"),
        (format!("00-{TRACE}-{}-01", &SPAN[..15]), "a short span id"),
        (format!("00-{TRACE}-{SPAN}0-01"), "a long span id"),
        (format!("00-{TRACE}-{SPAN}-.0"), "flags that are no number"),
        (format!("00-{TRACE}-{SPAN}-1"), "short flags"),
        (format!("00-{TRACE}-{SPAN}-001"), "long flags"),
        (format!("00-{TRACE}-{SPAN}-0X"), "upper-case flags"),
        (format!("00-{TRACE}-{SPAN}"), "no flags"),
        (format!("00-{TRACE}"), "no span id"),
        (format!("00_{TRACE}_{SPAN}_01"), "other dashes"),
        (format!("00-{TRACE} -{SPAN}-01"), "white space inside"),
        (format!("{}{}", traceparent(), "0".repeat(100_000)), "oversized"),
        ("😀".repeat(14), "of the right length, and no ASCII"),
    ];
    for (value, why) in &invalid {
        let received = [("traceparent", value.as_str()), ("tracestate", "a=1")];
        assert_eq!(extract(&received[..]).trace(), None, "{why}: {value:.80}");
        assert!(sent_on(&received).is_empty(), "{why}: neither is tracestate believed");
    }
    let twice = [("traceparent", traceparent()), ("traceparent", traceparent())];
    assert_eq!(extract(&twice[..]).trace(), None, "two headers");
    let bytes: [(&str, &[u8]); 1] = [("traceparent", b"00-\xff\xfe")];
    assert_eq!(extract(&bytes[..]).trace(), None, "no text");
    for name in ["trace-parent", "trace.parent", "traceparent2"] {
        assert_eq!(extract(&[(name, traceparent())][..]).trace(), None, "{name}");
    }
    assert!(sent_on(&[("tracestate", "a=1")]).is_empty(), "a tracestate alone");
}

#[test]
fn a_valid_tracestate_is_sent_on_as_it_came() {
    let valid = [
        "foo=1",
        "foo=1,bar=2",
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        "fw529a3039@dt=FfAAAAAAAAAAAAAA",
        "0a@a=1",
        "foo@=1",
        "foo@@bar=1",
        "foo@bar@baz=1",
        "foo@0bar=1",
        "0=1",
        "foo-_*/bar=bar4",
        "3rd=begins with a digit as level 2 allows",
        "a=!\"#$%&'()*+-./0123456789:;<>?@AZ[\\]^_`az{|}~",
        "a= leading space is part of the value",
    ];
    for state in valid {
        assert_eq!(state_after(&[state]).as_deref(), Some(state));
    }
    let longest_key = format!("{}=1", "z".repeat(256));
    let longest_tenant = format!("{}@{}=1", "t".repeat(100), "v".repeat(155));
    let longest_value = format!("a={}", "x".repeat(256));
    for state in [&longest_key, &longest_tenant, &longest_value] {
        assert_eq!(state_after(&[state]).as_ref(), Some(state));
    }
    assert_eq!(state_after(&["foo=1", "bar=2,rojo=3"]).as_deref(), Some("foo=1,bar=2,rojo=3"), "two headers");
    assert_eq!(state_after(&[" foo=1 ,\tbar=2"]).as_deref(), Some("foo=1,bar=2"), "white space between");
    assert_eq!(state_after(&["foo=1,,bar=2,"]).as_deref(), Some("foo=1,bar=2"), "members may be empty");
    assert_eq!(state_after(&["foo=1", "", "bar=2"]).as_deref(), Some("foo=1,bar=2"), "and so may headers");
    assert_eq!(state_after(&[""]), None);
    assert_eq!(state_after(&["foo=1,bar=2,foo=3"]).as_deref(), Some("foo=1,bar=2"), "each key once");
    let full: Vec<String> = (0..32).map(|number| format!("k{number}={number}")).collect();
    assert_eq!(state_after(&[&full.join(",")]), Some(full.join(",")), "32 members");
}

#[test]
fn an_invalid_tracestate_is_dropped_whole_and_the_trace_goes_on() {
    let too_many: Vec<String> = (0..33).map(|number| format!("k{number}={number}")).collect();
    let invalid = [
        "foo".to_owned(),
        "foo=".to_owned(),
        "=1".to_owned(),
        "@foo=1".to_owned(),
        "_foo=1".to_owned(),
        "-foo=1".to_owned(),
        "Foo=1".to_owned(),
        "foo =1".to_owned(),
        "foo.bar=1".to_owned(),
        "foo=1=2".to_owned(),
        "foo=\u{e9}".to_owned(),
        "foo=a\tb".to_owned(),
        "fine=1,foo".to_owned(),
        format!("{}=1", "z".repeat(257)),
        format!("{}@{}=1", "t".repeat(241), "v".repeat(15)),
        format!("a={}", "x".repeat(257)),
        too_many.join(","),
    ];
    for state in &invalid {
        assert_eq!(state_after(&[state]), None, "{state}");
        let parent = traceparent();
        let received = [("traceparent", parent.as_str()), ("tracestate", state)];
        assert!(extract(&received[..]).trace().is_some(), "{state}");
    }
}

#[test]
fn an_oversized_tracestate_loses_its_long_members_first() {
    let long: Vec<String> = (0..15).map(|number| format!("long{number}={}", "x".repeat(256))).collect();
    let short: Vec<String> = (0..17).map(|number| format!("short{number}={}", "y".repeat(40))).collect();
    let sent = state_after(&[&long.join(","), &short.join(",")]).expect("sent on");
    assert!((512..=4096).contains(&sent.len()), "{}", sent.len());
    assert!(short.iter().all(|member| sent.contains(member.as_str())));
    assert!(sent.starts_with("long0="), "the first to go is the last of them");
}

#[test]
fn a_traceparent_that_is_ours_keeps_the_state() {
    let parent = traceparent();
    let context = extract(&[("traceparent", parent.as_str()), ("tracestate", "foo=1")][..]);
    assert_eq!(context.tracestate(), "foo=1");
    let nested = context.run(Context::current);
    assert_eq!((nested.trace(), nested.tracestate()), (context.trace(), "foo=1"));
    assert_eq!(context.trace().expect("one"), parent.parse::<TraceContext>().expect("valid"));
}

#[test]
fn the_state_of_one_trace_is_not_sent_with_another() {
    let received = [("traceparent", &*traceparent()), ("tracestate", "vendor=1"), ("baggage", "tenant=acme")];
    let other = "00-11111111111111111111111111111111-2222222222222222-01";
    let sent = extract(&received[..]).run(|| {
        let mut sent = Vec::new();
        Context::from(other.parse::<TraceContext>().expect("valid")).run(|| inject(&mut sent));
        sent
    });
    assert_eq!(header(&sent, "traceparent"), Some(other));
    assert_eq!((header(&sent, "tracestate"), header(&sent, "baggage")), (None, Some("tenant=acme")));
}

#[test]
fn baggage_is_sent_on_as_it_came() {
    let sent = |baggage: &[&str]| {
        let received: Vec<(&str, &str)> = baggage.iter().map(|value| ("baggage", *value)).collect();
        header(&sent_on(&received), "baggage").map(str::to_owned)
    };
    for valid in [
        "key1=value1",
        "key1=value1,key2=value2;property1;property2,key3=value3;propertyKey=propertyValue",
        "userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false",
        "SomeKey = SomeValue ; SomeProp=PropVal",
        "empty=",
        "equals=a=b",
    ] {
        assert_eq!(sent(&[valid]).as_deref(), Some(valid));
    }
    assert_eq!(sent(&["a=1", "b=2"]).as_deref(), Some("a=1,b=2"), "two headers");
    assert_eq!(sent(&["a=1,not an entry,b=\"2\",=3,c=4"]).as_deref(), Some("a=1,c=4"), "what is valid");
    let many: Vec<String> = (0..70).map(|number| format!("k{number}=v")).collect();
    assert_eq!(sent(&[&many.join(",")]), Some(many[..64].join(",")), "64 entries");
    let large: Vec<String> = (0..20).map(|number| format!("k{number}={}", "v".repeat(1000))).collect();
    assert_eq!(sent(&[&large.join(",")]).map(|sent| sent.split(',').count()), Some(8), "8192 bytes");
}

#[test]
fn baggage_may_have_8192_bytes() {
    let sent = |baggage: &[&str]| {
        let received: Vec<(&str, &str)> = baggage.iter().map(|value| ("baggage", *value)).collect();
        header(&sent_on(&received), "baggage").map(str::to_owned)
    };
    let one = |bytes: usize| format!("k={}", "v".repeat(bytes - 2));
    assert_eq!(sent(&[&one(8192)]), Some(one(8192)));
    assert_eq!(sent(&[&one(8193)]), None);
    let two = format!("{},{}", one(4096), one(4095).replace('k', "l"));
    assert_eq!(two.len(), 8192);
    assert_eq!(sent(&[&two]).as_ref(), Some(&two));
    let (first, second) = two.split_once(',').expect("two");
    assert_eq!(sent(&[first, second]).as_ref(), Some(&two), "in two headers");
    assert_eq!(sent(&[&format!("{two},")]).as_ref(), Some(&two), "an empty entry takes no room");
    assert_eq!(sent(&[&format!("{two}v")]).as_deref(), Some(first));
    let many: Vec<String> = (10..74).map(|number| format!("k{number}={}", "v".repeat(123))).collect();
    let all = many.join(",");
    assert_eq!((all.len(), many.len()), (8191, 64));
    assert_eq!(sent(&[&all]), Some(all));
    let mut headers = Vec::new();
    Context::current().with_baggage("k", &"v".repeat(8190)).run(|| inject(&mut headers));
    assert_eq!(header(&headers, "baggage").map(str::len), Some(8192));
}

#[test]
fn baggage_is_read_and_set_by_name() {
    let context = extract(&[("baggage", "user=Am%C3%A9lie;p=1,odd=%zz%4")][..]);
    assert_eq!(context.baggage("user").as_deref(), Some("Amélie"));
    assert_eq!(context.baggage("odd").as_deref(), Some("%zz%4"), "what is no escape stays");
    assert_eq!(context.baggage("nobody"), None);
    let more = context.with_baggage("user", "Grace, Hopper").with_baggage("not a token", "x");
    let mut sent = Vec::new();
    more.run(|| inject(&mut sent));
    assert_eq!(header(&sent, "baggage"), Some("odd=%zz%4,user=Grace%2C%20Hopper"));
    assert_eq!(more.baggage("user").as_deref(), Some("Grace, Hopper"));
}

#[test]
fn request_ids_from_outside_are_checked() {
    let sent = |id: &str| header(&sent_on(&[("x-request-id", id)]), "x-request-id").map(str::to_owned);
    for valid in ["a", "018f-2c", "Root=1-67891233-abcdef012345678912345678", "a/b+c==", &"x".repeat(128)] {
        assert_eq!(sent(valid).as_deref(), Some(valid));
    }
    for invalid in ["", " ", "a b", "a\"b", "a\nb", "<script>", "é", "{}", "$(x)", &"x".repeat(129)] {
        assert_eq!(sent(invalid), None, "{invalid}");
    }
    assert!(sent_on(&[("x-request-id", "a"), ("x-request-id", "b")]).is_empty(), "which of them?");
}

#[test]
fn metadata_of_grpc_are_headers_too() {
    let mut request = tonic::Request::new(());
    let received = [("traceparent", &*traceparent()), ("tracestate", "foo=1"), ("x-request-id", "by gRPC")];
    extract(&received[..]).run(|| inject(request.metadata_mut().as_mut()));
    let context = extract(request.metadata().as_ref());
    assert_eq!(context.trace(), traceparent().parse().ok());
    assert_eq!((context.tracestate(), request.metadata().len()), ("foo=1", 2), "an id has no spaces");
}

#[test]
fn without_headers_nothing_changes_and_nothing_is_sent() {
    assert_eq!(sent_on(&[("accept", "*/*")]), []);
    assert_eq!(extract(&[("accept", "*/*")][..]).trace(), None);
}

#[obs_runtime::observe]
fn is_exported_with_flags() -> String {
    TraceContext::current().expect("a span").to_string()
}

#[test]
fn exported_spans_have_the_flags_of_their_trace() {
    let recorder = obs_tests::recorder();
    let mut expected = vec![3];
    let own = is_exported_with_flags();
    assert!(own.ends_with("-03"), "a trace that begins here has a random id: {own}");
    for (received, flags) in [("01", 1), ("03", 3), ("ff", 3)] {
        let parent = format!("00-{TRACE}-{SPAN}-{received}");
        let here = extract(&[("traceparent", parent)][..]).run(is_exported_with_flags);
        assert!(here.ends_with(&format!("-0{flags}")), "{here}");
        expected.push(flags);
    }
    let spans = recorder.spans("is_exported_with_flags");
    let flags: Vec<u8> = spans.iter().map(|span| span.span_context.trace_flags().to_u8()).collect();
    assert_eq!(flags, expected);
}
