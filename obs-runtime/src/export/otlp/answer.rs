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
    /// What the collector says about it; empty if nothing.
    pub(super) remark: String,
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
/// One that can't be read says nothing: some receivers answer in JSON, whatever they were asked in. The
/// responses of the three signals differ in the names of their fields alone.
pub(super) fn taken(message: &[u8]) -> Answer {
    let response = ExportTraceServiceResponse::decode(message).unwrap_or_default();
    let partial = response.partial_success.unwrap_or_default();
    Answer { refused: u64::try_from(partial.rejected_spans).unwrap_or(0), remark: cut(partial.error_message) }
}

/// Reads an HTTP answer.
pub(super) fn http(
    status: u16,
    content_type: &str,
    retry_after: Option<&str>,
    body: &[u8],
) -> Result<Answer, Failure> {
    let protobuf = content_type.is_empty() || content_type.starts_with("application/x-protobuf");
    if (200..300).contains(&status) {
        return Ok(if protobuf { taken(body) } else { Answer::default() });
    }
    let retryable = matches!(status, 429 | 502 | 503 | 504);
    let said = if protobuf {
        RpcStatus::decode(body).map(|status| status.message).unwrap_or_default()
    } else {
        String::from_utf8_lossy(body).trim().to_owned()
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

    #[test]
    fn a_success_says_how_much_was_refused_if_it_can_be_read() {
        let partial_success =
            Some(ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() });
        let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
        let expected = Answer { refused: 3, remark: "too old".to_owned() };
        assert_eq!(http(200, PROTOBUF, None, &body), Ok(expected));
        for (content_type, body) in [
            (PROTOBUF, &b""[..]),
            (PROTOBUF, b"{\"partialSuccess\":{}}"),
            ("application/json", b"{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}"),
            ("text/html", b"<html>"),
            ("", b"\xff\xff\xff"),
        ] {
            assert_eq!(http(200, content_type, None, body), Ok(Answer::default()), "{content_type}");
        }
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
