use super::*;
use axum::http::Request;

const TOKEN: &str = "0123456789abcdef";

fn policy(token: bool, allow_remote: bool) -> Policy {
    Policy { token: token.then(|| Token::new(TOKEN).expect("a token")), allow_remote }
}

fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let request = headers.iter().fold(Request::builder().uri(uri), |request, (name, value)| {
        request.header(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
    });
    request.body(()).expect("a request").into_parts().0
}

/// On a loopback address without a token, where only the headers count.
fn seen_locally(uri: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
    check(Listener::Loopback, &policy(false, false), Class::Rest, &head(uri, headers))
}

#[test]
fn paths_are_as_they_are_sent() {
    for path in ["/metrics", "/health", "/health/live", "/health/anything", "/health/"] {
        assert_eq!(Class::of(path), Class::Openable, "{path}");
    }
    for path in
        ["/", "", "*", "/debug/log-level", "/metrics/", "/metricsx", "/healthx", "/Health/live", "/%6detrics"]
    {
        assert_eq!(Class::of(path), Class::Rest, "{path}");
    }
}

#[test]
fn addresses_are_loopback_or_reached_from_elsewhere() {
    for address in ["127.0.0.1:1", "127.255.255.254:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert_eq!(Listener::at(address.parse().expect("one")), Listener::Loopback, "{address}");
    }
    for address in ["0.0.0.0:1", "[::]:1", "192.168.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
        assert_eq!(Listener::at(address.parse().expect("one")), Listener::Reachable, "{address}");
    }
}

/// The whole table of the module's documentation.
#[test]
fn who_may_see_what() {
    use Class::{Openable, Rest};
    use Listener::{Loopback, Mounted, Reachable};
    const SEEN: Result<(), Refusal> = Ok(());
    const TOKEN_REFUSED: Result<(), Refusal> = Err(Refusal::Token);
    const NO_TOKEN: Result<(), Refusal> = Err(Refusal::NoToken);
    // Listener, whether a token is set, allow remote, class; without the token, and with it.
    let table = [
        (Loopback, false, false, Openable, SEEN, SEEN),
        (Loopback, false, false, Rest, SEEN, SEEN),
        (Loopback, false, true, Openable, SEEN, SEEN),
        (Loopback, false, true, Rest, SEEN, SEEN),
        (Loopback, true, false, Openable, TOKEN_REFUSED, SEEN),
        (Loopback, true, false, Rest, TOKEN_REFUSED, SEEN),
        (Loopback, true, true, Openable, SEEN, SEEN),
        (Loopback, true, true, Rest, TOKEN_REFUSED, SEEN),
        (Reachable, false, false, Openable, NO_TOKEN, NO_TOKEN),
        (Reachable, false, false, Rest, NO_TOKEN, NO_TOKEN),
        (Reachable, false, true, Openable, SEEN, SEEN),
        (Reachable, false, true, Rest, NO_TOKEN, NO_TOKEN),
        (Reachable, true, false, Openable, TOKEN_REFUSED, SEEN),
        (Reachable, true, false, Rest, TOKEN_REFUSED, SEEN),
        (Reachable, true, true, Openable, SEEN, SEEN),
        (Reachable, true, true, Rest, TOKEN_REFUSED, SEEN),
        (Mounted, false, false, Openable, SEEN, SEEN),
        (Mounted, false, false, Rest, NO_TOKEN, NO_TOKEN),
        (Mounted, false, true, Openable, SEEN, SEEN),
        (Mounted, false, true, Rest, NO_TOKEN, NO_TOKEN),
        (Mounted, true, false, Openable, SEEN, SEEN),
        (Mounted, true, false, Rest, TOKEN_REFUSED, SEEN),
        (Mounted, true, true, Openable, SEEN, SEEN),
        (Mounted, true, true, Rest, TOKEN_REFUSED, SEEN),
    ];
    for (listener, token, allow_remote, class, without, with) in table {
        let policy = policy(token, allow_remote);
        let case = format!("{listener:?}, token {token}, allow remote {allow_remote}, {class:?}");
        let host = ("host", if listener == Loopback { "localhost" } else { "shop.example" });
        assert_eq!(check(listener, &policy, class, &head("/", &[host])), without, "{case}");
        let shown = [host, ("authorization", "Bearer 0123456789abcdef")];
        assert_eq!(check(listener, &policy, class, &head("/", &shown)), with, "{case}");
    }
}

#[test]
fn the_token_is_shown_once_and_whole() {
    let shown = |values: &[&str]| {
        let headers: Vec<_> = values.iter().map(|value| ("authorization", *value)).collect();
        check(Listener::Reachable, &policy(true, false), Class::Rest, &head("/", &headers))
    };
    for value in [
        "Bearer 0123456789abcdef",
        "bearer 0123456789abcdef",
        "BEARER 0123456789abcdef",
        "Bearer   0123456789abcdef",
    ] {
        assert_eq!(shown(&[value]), Ok(()), "{value}");
    }
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer0123456789abcdef",
        "0123456789abcdef",
        "Basic 0123456789abcdef",
        "Bearer 0123456789abcde",
        "Bearer 0123456789abcdef0",
        "Bearer 0123456789ABCDEF",
        "Bearer 0123456789abcdef,",
        "Bearer 0123456789abcdef 0123456789abcdef",
        "Bearer é",
    ] {
        assert_eq!(shown(&[value]), Err(Refusal::Token), "{value}");
    }
    assert_eq!(shown(&[]), Err(Refusal::Token));
    let right = "Bearer 0123456789abcdef";
    assert_eq!(shown(&[right, right]), Err(Refusal::Token), "twice");
    assert_eq!(shown(&["Basic eDp5", right]), Err(Refusal::Token), "two kinds");
}

#[test]
fn tokens_are_long_and_visible() {
    for token in ["0123456789abcdef", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"] {
        assert!(Token::new(token).is_some(), "{token}");
    }
    for token in ["", "0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n", "0123456789abcdefé"] {
        assert!(Token::new(token).is_none(), "{token}");
    }
}

#[test]
fn on_a_loopback_address_the_host_is_this_machine() {
    for host in [
        "localhost",
        "LocalHost:9464",
        "localhost:",
        "127.0.0.1",
        "127.0.0.1:9464",
        "127.1.2.3:1",
        "[::1]",
        "[::1]:9464",
        "[0:0:0:0:0:0:0:1]:80",
    ] {
        assert_eq!(seen_locally("/", &[("host", host)]), Ok(()), "{host}");
        let absolute = format!("http://{host}/metrics");
        assert_eq!(seen_locally(&absolute, &[("host", host)]), Ok(()), "{absolute}");
    }
    assert_eq!(seen_locally("/", &[]), Ok(()), "a probe without one");
    for host in [
        "",
        "evil.example",
        "evil.example:9464",
        "obs.localhost",
        "localhost.",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1:9464.evil.example",
        "127.0.0.1:9464:1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "[::]",
        "[::2]:9464",
        "[::1].evil.example",
        "[::1",
        "::1",
        "[127.0.0.1]",
        "[localhost]",
        "localhost:evil",
        "localhost@evil.example",
        "user@localhost",
        "localhost evil.example",
        "localhost,evil.example",
        "é",
    ] {
        assert_eq!(seen_locally("/", &[("host", host)]), Err(Refusal::ForeignHost), "{host}");
    }
    let both = [("host", "localhost")];
    assert_eq!(seen_locally("http://evil.example/metrics", &both), Err(Refusal::ForeignHost));
    assert_eq!(seen_locally("http://localhost@evil.example/metrics", &both), Err(Refusal::ForeignHost));
    assert_eq!(seen_locally("http://localhost/", &[("host", "evil.example")]), Err(Refusal::ForeignHost));
    // Whoever reaches the address from elsewhere calls it as they like.
    let reached = head("/", &[("host", "evil.example"), ("authorization", "Bearer 0123456789abcdef")]);
    assert_eq!(check(Listener::Reachable, &policy(true, false), Class::Rest, &reached), Ok(()));
}

#[test]
fn two_hosts_are_refused_everywhere() {
    let hosts = [("host", "localhost"), ("host", "localhost")];
    for listener in [Listener::Loopback, Listener::Reachable, Listener::Mounted] {
        let checked = check(listener, &policy(true, false), Class::Rest, &head("/", &hosts));
        assert_eq!(checked, Err(Refusal::SeveralHosts), "{listener:?}");
    }
}

#[test]
fn pages_of_other_sites_are_refused() {
    let host = ("host", "localhost:9464");
    for value in ["same-origin", "none"] {
        assert_eq!(seen_locally("/", &[host, ("sec-fetch-site", value)]), Ok(()), "{value}");
    }
    for value in ["cross-site", "same-site", "", "Cross-Site", "same-origin, cross-site", "é"] {
        let headers = [host, ("sec-fetch-site", value)];
        assert_eq!(seen_locally("/", &headers), Err(Refusal::CrossSite), "{value}");
    }
    let twice = [host, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
    assert_eq!(seen_locally("/", &twice), Err(Refusal::CrossSite));
    for origin in ["http://localhost:9464", "https://LOCALHOST:9464"] {
        assert_eq!(seen_locally("/", &[host, ("origin", origin)]), Ok(()), "{origin}");
    }
    for origin in [
        "null",
        "",
        "http://localhost",
        "http://localhost:9465",
        "http://evil.example",
        "http://localhost:9464.evil.example",
        "http://localhost:9464/",
        "file://localhost:9464",
        "localhost:9464",
        "é",
    ] {
        assert_eq!(seen_locally("/", &[host, ("origin", origin)]), Err(Refusal::CrossSite), "{origin}");
    }
    let origin = ("origin", "http://localhost:9464");
    assert_eq!(seen_locally("/", &[origin]), Err(Refusal::CrossSite), "an origin, and no host");
    assert_eq!(seen_locally("/", &[host, origin, origin]), Err(Refusal::CrossSite), "two");
    assert_eq!(seen_locally("http://127.0.0.1/", &[host, origin]), Err(Refusal::CrossSite));
    assert_eq!(seen_locally("http://localhost:9464/", &[("host", "127.0.0.1"), origin]), Ok(()));
}

#[test]
fn an_origin_leaves_its_default_port_out() {
    for (origin, host) in [
        ("https://shop.example", "shop.example"),
        ("http://shop.example", "shop.example:80"),
        ("https://shop.example", "shop.example:443"),
        ("https://shop.example:8443", "shop.example:8443"),
        ("http://[::1]:9464", "[::1]:9464"),
    ] {
        assert!(is_origin_of(origin, host), "{origin} {host}");
    }
    for (origin, host) in [("http://shop.example", "shop.example:443"), ("http://[::1]", "[::1]:9464")] {
        assert!(!is_origin_of(origin, host), "{origin} {host}");
    }
}

/// A page of another site can do nothing, token or not, on a server of ours: also not where the rest is open.
#[test]
fn other_sites_are_refused_before_the_token_is_looked_at() {
    let headers = [("authorization", "Bearer 0123456789abcdef"), ("sec-fetch-site", "cross-site")];
    for (listener, class) in [
        (Listener::Loopback, Class::Openable),
        (Listener::Reachable, Class::Openable),
        (Listener::Reachable, Class::Rest),
        (Listener::Mounted, Class::Rest),
    ] {
        let checked = check(listener, &policy(true, true), class, &head("/", &headers));
        assert_eq!(checked, Err(Refusal::CrossSite), "{listener:?} {class:?}");
    }
    let checked = check(Listener::Mounted, &policy(true, true), Class::Openable, &head("/", &headers));
    assert_eq!(checked, Ok(()));
}
