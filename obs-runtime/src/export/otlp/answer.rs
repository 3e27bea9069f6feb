//! What a collector says to a request, by the rules of the OTLP specification.

use crate::text::start_of;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::time::{Duration, SystemTime};

/// Remarks and errors are cut to so many bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// A request was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// So many of its items were not.
    pub(super) refused: u64,
    /// What the collector says about it, or what is wrong with the answer; empty if nothing.
    pub(super) remark: String,
    /// The answer is not the message that a collector sends.
    pub(super) unreadable: bool,
}

/// The body of an answer.
pub(super) struct Body<'a> {
    pub(super) content_type: &'a str,
    pub(super) bytes: &'a [u8],
    /// Why it ends before its end, if it does.
    pub(super) broken: Option<String>,
}

impl Body<'_> {
    /// Whether it is said to be protobuf, or nothing is said.
    fn is_protobuf(&self) -> bool {
        let essence = self.content_type.split(';').next().unwrap_or_default().trim();
        ["", "application/x-protobuf", "application/protobuf", "application/grpc"]
            .iter()
            .any(|known| essence.eq_ignore_ascii_case(known))
    }

    /// Its content type and its first bytes.
    fn shown(&self) -> String {
        const SHOWN_BYTES: usize = 80;
        let Self { content_type, bytes, broken } = self;
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]);
        let mut text =
            format!("content type {content_type:?}, {} bytes that begin with {start:?}", bytes.len());
        if let Some(error) = broken {
            text.push_str(", and it breaks off: ");
            text.push_str(error);
        }
        text
    }
}

/// A request was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) text: String,
    /// Whether the same request may be taken later.
    pub(super) retryable: bool,
    /// When it may be, if the collector says so.
    pub(super) retry_after: Option<Duration>,
    pub(super) too_large: TooLarge,
    /// Whether the collector has refused it, rather than not been reached.
    pub(super) refused: bool,
}

/// Whether a request was not taken because of its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TooLarge {
    #[default]
    No,
    /// The connection broke while the request was sent, as receivers do that read no more than they take. If there
    /// are several items, smaller requests are tried; else the same one again.
    IfSeveral,
    /// The status stands for this and for other failures. Once a smaller request has the same answer, it is meant.
    IfHalved,
    Yes,
}

impl Failure {
    /// The transport did not survive the answer; nor would it the next time.
    pub(super) fn panicked() -> Self {
        let text = "the transport panicked at the collector's answer".to_owned();
        Self { text, retryable: false, retry_after: None, too_large: TooLarge::No, refused: false }
    }

    /// Whether smaller requests are the next to be tried. `several` items are in the request, which is `halved` if it is
    /// a part of one that was not taken.
    pub(super) fn is_of_size(&self, several: bool, halved: bool) -> bool {
        match self.too_large {
            TooLarge::No => false,
            TooLarge::IfSeveral => several,
            TooLarge::IfHalved => several || halved,
            TooLarge::Yes => true,
        }
    }
}

/// `google.rpc.Status`, which both protocols send with an error.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<RpcDetail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct RpcDetail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[cfg(feature = "otlp-grpc")]
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<RetryDelay>,
}

/// `google.protobuf.Duration`.
#[cfg(feature = "otlp-grpc")]
#[derive(Clone, Copy, PartialEq, Message)]
struct RetryDelay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// Reads the message that says a request was taken.
///
/// One that can't be read leaves the request taken, because the status says so: some receivers answer in JSON, and some
/// proxies in HTML for a receiver that is not there. The responses of the three signals differ in the names of their
/// fields alone.
pub(super) fn taken(body: &Body<'_>) -> Answer {
    let response = ExportTraceServiceResponse::decode(body.bytes);
    match response {
        Ok(response) if body.is_protobuf() && body.broken.is_none() => {
            let partial = response.partial_success.unwrap_or_default();
            let refused = u64::try_from(partial.rejected_spans).unwrap_or(0);
            Answer { refused, remark: cut(partial.error_message), unreadable: false }
        }
        _ => Answer { refused: 0, remark: cut(body.shown()), unreadable: true },
    }
}

/// Reads an HTTP answer.
pub(super) fn http(status: u16, retry_after: Option<&str>, body: &Body<'_>) -> Result<Answer, Failure> {
    if (200..300).contains(&status) {
        return Ok(taken(body));
    }
    let retryable = matches!(status, 429 | 502 | 503 | 504);
    let said = if body.is_protobuf() {
        RpcStatus::decode(body.bytes).map(|status| status.message).unwrap_or_default()
    } else {
        String::from_utf8_lossy(body.bytes).trim().to_owned()
    };
    let text = if said.is_empty() {
        format!("HTTP status {status}")
    } else {
        format!("HTTP status {status}: {said}")
    };
    let retry_after = retry_after.filter(|_| retryable).and_then(|after| delay(after, SystemTime::now()));
    // Go's `http.MaxBytesReader` ends in a 400, and some receivers in a 500.
    let of_size = status == 413 || matches!(status, 400 | 422 | 500) && speaks_of_size(&text);
    let too_large = if of_size { TooLarge::Yes } else { TooLarge::No };
    Err(Failure { text: cut(text), retryable, retry_after, too_large, refused: !retryable })
}

/// Whether an error speaks of the request's size: receivers have no code of their own for that.
fn speaks_of_size(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "too large",
        "too big",
        "larger than",
        "exceeds",
        "exceeded the max",
        "max size",
        "maximum size",
        "size limit",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// A `Retry-After` header: seconds, or a date.
fn delay(after: &str, now: SystemTime) -> Option<Duration> {
    let after = after.trim();
    match after.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        // A date that has passed means now.
        Err(_) => {
            httpdate::parse_http_date(after).ok().map(|then| then.duration_since(now).unwrap_or_default())
        }
    }
}

/// Reads a gRPC status other than OK, with the bytes of its `grpc-status-details-bin`.
#[cfg(feature = "otlp-grpc")]
pub(super) fn grpc(code: tonic::Code, message: &str, details: &[u8]) -> Failure {
    use tonic::Code;
    let retry_after = retry_info(details);
    let retryable = match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => retry_after.is_some(),
        _ => false,
    };
    let too_large = match code {
        Code::ResourceExhausted if !retryable => TooLarge::Yes,
        Code::OutOfRange
        | Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::Internal
        | Code::Unknown
            if speaks_of_size(message) =>
        {
            TooLarge::Yes
        }
        Code::OutOfRange => TooLarge::IfHalved,
        _ => TooLarge::No,
    };
    let retryable = retryable && too_large != TooLarge::Yes;
    let text = cut(format!("gRPC status {code:?}: {message}"));
    let retry_after = retry_after.filter(|_| retryable);
    Failure { text, retryable, retry_after, too_large, refused: !retryable }
}

#[cfg(feature = "otlp-grpc")]
fn retry_info(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&info.value[..]).ok()?.retry_delay.unwrap_or_default();
    let (seconds, nanos) = (u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?);
    Some(Duration::from_secs(seconds) + Duration::from_nanos(nanos.into()))
}

fn cut(mut text: String) -> String {
    text.truncate(start_of(&text, MAX_TEXT_BYTES).len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    const PROTOBUF: &str = "application/x-protobuf";

    fn http(
        status: u16,
        content_type: &str,
        retry_after: Option<&str>,
        bytes: &[u8],
    ) -> Result<Answer, Failure> {
        super::http(status, retry_after, &Body { content_type, bytes, broken: None })
    }

    #[test]
    fn a_success_says_how_much_was_refused_if_it_can_be_read() {
        let partial_success =
            Some(ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() });
        let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
        let expected = Answer { refused: 3, remark: "too old".to_owned(), unreadable: false };
        for content_type in [PROTOBUF, "Application/X-Protobuf; charset=utf-8", ""] {
            assert_eq!(http(200, content_type, None, &body).as_ref(), Ok(&expected), "{content_type}");
            assert_eq!(http(204, content_type, None, b""), Ok(Answer::default()), "{content_type}");
        }
    }

    #[test]
    fn a_success_without_a_collectors_answer_is_taken_and_remarked_on() {
        let partial_success =
            Some(ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() });
        let cut_off = &ExportTraceServiceResponse { partial_success }.encode_to_vec()[..7];
        for (content_type, bytes, shown) in [
            (PROTOBUF, &b"{\"partialSuccess\":{}}"[..], "partialSuccess"),
            ("application/json", b"{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}", "application/json"),
            ("text/html", b"<html>", "<html>"),
            ("text/html; charset=utf-8", b"", "text/html; charset=utf-8"),
            ("", b"\xff\xff\xff", "3 bytes"),
            ("", b"<!DOCTYPE html>", "<!DOCTYPE"),
            (PROTOBUF, cut_off, "7 bytes"),
        ] {
            let answer = http(200, content_type, None, bytes).expect("a success");
            assert!(answer.unreadable && answer.refused == 0 && answer.remark.contains(shown), "{answer:?}");
        }
        let broken = Some("unexpected end".to_owned());
        let answer =
            super::http(200, None, &Body { content_type: PROTOBUF, bytes: b"", broken }).expect("a success");
        assert!(answer.unreadable && answer.remark.ends_with("breaks off: unexpected end"), "{answer:?}");
    }

    #[test]
    fn statuses_are_told_apart_by_the_specification() {
        for (status, retryable) in [
            (400, false),
            (401, false),
            (404, false),
            (408, false),
            (413, false),
            (429, true),
            (500, false),
            (501, false),
            (502, true),
            (503, true),
            (504, true),
            (301, false),
        ] {
            let failure = http(status, "text/plain", None, b" busy ").expect_err("no success");
            assert_eq!((failure.retryable, failure.text), (retryable, format!("HTTP status {status}: busy")));
        }
        let status = RpcStatus { message: "bad span".to_owned(), details: Vec::new() }.encode_to_vec();
        assert_eq!(http(400, PROTOBUF, None, &status).expect_err("none").text, "HTTP status 400: bad span");
        assert_eq!(http(503, PROTOBUF, None, b"\xff").expect_err("none").text, "HTTP status 503");
    }

    #[test]
    fn a_collector_may_say_when_to_come_back() {
        let after = |header| http(429, "", Some(header), b"").expect_err("no success").retry_after;
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO), "which has passed");
        assert_eq!(after("soon"), None);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480 - 30);
        assert_eq!(delay("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(Duration::from_secs(30)));
        let hopeless = http(400, "", Some("7"), b"").expect_err("no success");
        assert_eq!(hopeless.retry_after, None);
    }

    #[test]
    #[cfg(feature = "otlp-grpc")]
    fn grpc_codes_are_told_apart_by_the_specification() {
        use tonic::Code;
        let retryable = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        for number in 1..=16 {
            let code = Code::from(number);
            assert_eq!(grpc(code, "", &[]).retryable, retryable.contains(&code), "{code:?}");
        }
        let delay = RetryDelay { seconds: 2, nanos: 500_000_000 };
        let info = RetryInfo { retry_delay: Some(delay) }.encode_to_vec();
        let detail =
            RpcDetail { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: info };
        let status = RpcStatus { message: String::new(), details: vec![detail] }.encode_to_vec();
        let exhausted = grpc(Code::ResourceExhausted, "", &status);
        assert_eq!((exhausted.retryable, exhausted.retry_after), (true, Some(Duration::from_millis(2500))));
        assert_eq!(grpc(Code::InvalidArgument, "", &status).retry_after, None);
    }

    #[test]
    fn a_request_may_be_too_large() {
        let of =
            |status, text: &[u8]| http(status, "text/plain", None, text).expect_err("no success").too_large;
        assert_eq!(of(413, b""), TooLarge::Yes);
        assert_eq!(of(400, b"http: request body too large"), TooLarge::Yes);
        assert_eq!(of(400, b"no such tenant"), TooLarge::No);
        assert_eq!(of(401, b"token too large"), TooLarge::No);
        assert_eq!(of(503, b"too large"), TooLarge::No);
    }

    #[test]
    #[cfg(feature = "otlp-grpc")]
    fn a_grpc_request_may_be_too_large() {
        use tonic::Code;
        let too_large = "grpc: received message larger than max (5 vs. 4)";
        let of = |code, message| {
            let failure = grpc(code, message, &[]);
            (failure.too_large, failure.retryable)
        };
        assert_eq!(of(Code::ResourceExhausted, "quota"), (TooLarge::Yes, false));
        assert_eq!(of(Code::OutOfRange, "decoded message length too large"), (TooLarge::Yes, false));
        assert_eq!(of(Code::OutOfRange, ""), (TooLarge::IfHalved, true));
        assert_eq!(of(Code::InvalidArgument, too_large), (TooLarge::Yes, false));
        assert_eq!(of(Code::InvalidArgument, "bad"), (TooLarge::No, false));
        assert_eq!(of(Code::Unavailable, too_large), (TooLarge::No, true));
    }
}
