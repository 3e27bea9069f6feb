use super::*;

fn field(name: &str, value: Option<(&str, bool)>) -> FieldMatch {
    let value = value.map(|(text, literal)| ValueMatch { text: text.to_owned(), literal });
    FieldMatch { name: name.to_owned(), value }
}

fn directive(target: &str, span: &str, fields: Vec<FieldMatch>, level: LevelFilter) -> Directive {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Directive { target: text(target), span: text(span), fields, level }
}

#[test]
fn directives_are_read_and_shown_as_they_are_read() {
    use LevelFilter as L;
    let bob = |literal| vec![field("name", Some(("bob", literal)))];
    let table = [
        // The examples in the documentation of `EnvFilter`.
        ("tokio::net=info", directive("tokio::net", "", vec![], L::INFO), "tokio::net=info"),
        (
            "my_crate[span_a]=trace",
            directive("my_crate", "span_a", vec![], L::TRACE),
            "my_crate[span_a]=trace",
        ),
        (
            "[span_b{name=\"bob\"}]",
            directive("", "span_b", bob(true), L::TRACE),
            "[span_b{name=\"bob\"}]=trace",
        ),
        ("[span_b{name=bob}]", directive("", "span_b", bob(false), L::TRACE), "[span_b{name=bob}]=trace"),
        ("[{field}]=trace", directive("", "", vec![field("field", None)], L::TRACE), "[{field}]=trace"),
        (
            "[span{field=\"value\"}]=debug",
            directive("", "span", vec![field("field", Some(("value", true)))], L::DEBUG),
            "[span{field=\"value\"}]=debug",
        ),
        (
            "target[span{field=value}]=WARN",
            directive("target", "span", vec![field("field", Some(("value", false)))], L::WARN),
            "target[span{field=value}]=warn",
        ),
        // Levels, by name and by number.
        ("info", directive("", "", vec![], L::INFO), "info"),
        ("OFF", directive("", "", vec![], L::OFF), "off"),
        ("Trace", directive("", "", vec![], L::TRACE), "trace"),
        ("0", directive("", "", vec![], L::OFF), "off"),
        ("1", directive("", "", vec![], L::ERROR), "error"),
        ("5", directive("", "", vec![], L::TRACE), "trace"),
        ("shop=4", directive("shop", "", vec![], L::DEBUG), "shop=debug"),
        ("shop = Debug", directive("shop", "", vec![], L::DEBUG), "shop=debug"),
        // Targets.
        ("shop", directive("shop", "", vec![], L::TRACE), "shop=trace"),
        ("my-crate::a.b=off", directive("my-crate::a.b", "", vec![], L::OFF), "my-crate::a.b=off"),
        ("shop::debug", directive("shop::debug", "", vec![], L::TRACE), "shop::debug=trace"),
        ("warp", directive("warp", "", vec![], L::TRACE), "warp=trace"),
        // Spans and fields.
        ("[shop::charge]", directive("", "shop::charge", vec![], L::TRACE), "[shop::charge]=trace"),
        ("[GET /users]=info", directive("", "GET /users", vec![], L::INFO), "[GET /users]=info"),
        (
            "shop[charge{ a = 1 , b = \"x, y]}\\\"\\\\\" , c }] = debug",
            directive(
                "shop",
                "charge",
                vec![
                    field("a", Some(("1", false))),
                    field("b", Some(("x, y]}\"\\", true))),
                    field("c", None),
                ],
                L::DEBUG,
            ),
            "shop[charge{a=1,b=\"x, y]}\\\"\\\\\",c}]=debug",
        ),
        (
            "[{id=A-.*,empty='',file=*.csv}]",
            directive(
                "",
                "",
                vec![
                    field("id", Some(("A-*", false))),
                    field("empty", Some(("", true))),
                    field("file", Some(("*.csv", false))),
                ],
                L::TRACE,
            ),
            "[{id=A-*,empty=\"\",file=*.csv}]=trace",
        ),
    ];
    for (text, expected, shown) in table {
        let read = Directive::parse(text).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(read, expected, "{text}");
        assert_eq!(read.to_string(), shown);
        assert_eq!(Directive::parse(shown).as_ref(), Ok(&read), "what is shown is read again");
    }
}

#[test]
fn a_list_is_split_at_commas_outside_of_brackets_and_quotes() {
    let table: [(&str, &[&str]); 10] = [
        ("warn,tokio::net=info", &["warn", "tokio::net=info"]),
        (" warn, shop=debug,,\n", &["warn", "shop=debug"]),
        (" , ", &[]),
        ("", &[]),
        ("a[b{c=1,d=\"x,y\"}]=info,e", &["a[b{c=1,d=\"x,y\"}]=info", "e"]),
        ("[{a=\"]\"}]=debug,b", &["[{a=\"]\"}]=debug", "b"]),
        ("\"info\",'shop=debug'", &["\"info\"", "'shop=debug'"]),
        // What is not closed costs its directive alone.
        ("info,shop[charge=debug,hyper=off", &["info", "shop[charge=debug", "hyper=off"]),
        ("[{a=\"b}]=debug,hyper=off", &["[{a=\"b}]=debug", "hyper=off"]),
        ("it's,b", &["it's", "b"]),
    ];
    for (list, parts) in table {
        assert_eq!(split(list), parts, "{list}");
    }
}

#[test]
fn a_mistake_is_named_with_its_remedy() {
    let table = [
        ("shop=", "`shop=` has no level: write `shop=debug`, or `shop` for all levels"),
        ("[charge]=", "`[charge]=` has no level: write `[charge]=debug`, or `[charge]` for all levels"),
        ("shop=loud", "has no level in \"loud\": write off, error, warn, info, debug or trace"),
        ("a=b=info", "has no level in \"b=info\""),
        ("shop=6", "has no level in \"6\""),
        ("=info", "has no target: write `target=level`"),
        ("debgu", "is no level, and as a target it is `debgu=trace`"),
        ("warning", "is no level"),
        ("INOF", "is no level"),
        ("42", "is no level"),
        ("shop:debug", "write `target=level`"),
        ("info/regex", "write `target=level`"),
        ("info shop=debug", "directives are separated by commas"),
        ("info;shop=debug", "directives are separated by commas"),
        ("shop::*=debug", "a target is a module's path"),
        ("\u{201c}info\u{201d}", "a target is a module's path"),
        ("\"info", "a target is a module's path"),
        ("{order_id=1}", "a target is a module's path"),
        ("shop[charge=debug", "a bracket that is not closed"),
        ("[{a=\"b}]=debug", "a bracket that is not closed"),
        ("[{a=1]=debug", "a brace that is not closed"),
        ("[charge a=1}]", "in the name of a span"),
        ("[charge=1]", "in the name of a span"),
        ("[]=debug", "has nothing in its brackets"),
        ("[charge]debug", "text behind its brackets"),
        ("[{}]=debug", "a field without a name"),
        ("[{a,}]=debug", "a field without a name"),
        ("[{=1}]=debug", "a field without a name"),
        ("[{a b=1}]=debug", "a field without a name"),
        ("[{a=}]=debug", "a field without a value"),
        ("[{a=^b$}]=debug", "a regular expression"),
        ("[{a=(b|c)}]=debug", "a regular expression"),
        ("[{a=b+}]=debug", "a regular expression"),
        ("[charge]=off", "more lines can be written and not fewer"),
    ];
    for (text, expected) in table {
        let problem = Directive::parse(text).expect_err(text).to_string();
        assert!(problem.starts_with('`') && problem.contains(expected), "{problem}");
    }
    let escaped = Directive::parse("a\u{202e}\u{1b}=info").expect_err("no target").to_string();
    assert!(!escaped.contains(crate::text::is_unsafe), "{escaped:?}");
}

#[test]
fn whatever_the_text_it_is_read_or_refused() {
    let pieces = ["[", "]", "{", "}", "=", ",", "\"", "'", "\\", "a", "info", " ", "é", "*", ":", "\u{202e}"];
    let mut state = 1_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(pieces[(state >> 60) as usize]);
        }
        for part in split(&text) {
            if let Ok(read) = Directive::parse(part) {
                assert_eq!(Directive::parse(&read.to_string()).as_ref(), Ok(&read), "{part}");
            }
        }
    }
}
