//! Log lines by OTLP: the JSON of each line, read back into the record that it says.

use super::delivery::{Delivery, Signal};
use super::otlp::{Batch, Client, ITEM, RESOURCE, ResourceMessage, SCOPE};
use super::pipeline::{Batching, Flush, Names, Pipeline, Sink, Source};
use crate::clock::Anchor;
use crate::context::unescape;
use crate::log::records;
use crate::trace::limits;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

static PIPELINE: OnceLock<Pipeline> = OnceLock::new();

/// By the specification's defaults for `OTEL_BLRP_*`.
pub(crate) const BATCHING: Batching =
    Batching { schedule_delay: Duration::from_secs(1), max_queue_size: 2048, max_export_batch_size: 512 };

/// Starts both threads.
pub(crate) fn start(sink: ToCollector, to: String, batching: Batching) -> io::Result<()> {
    let names = Names { signal: Signal::Logs, collector: "obs-records", exporter: "obs-export-logs" };
    let source = || Lines { reader: records::Reader::start(thread::current()), anchor: Anchor::NONE };
    let _ = PIPELINE.set(Pipeline::start(&names, source, Box::new(sink), to, batching)?);
    Ok(())
}

/// Asks that every line logged so far be exported or dropped. False if that can't be.
pub(crate) fn flush(flush: Flush) -> Option<bool> {
    Some(PIPELINE.get()?.ask(flush))
}

/// A record, and its scope.
struct Record {
    target: String,
    record: LogRecord,
}

/// The lines in the threads' buffers.
struct Lines {
    reader: records::Reader,
    anchor: Anchor,
}

impl Source<Record> for Lines {
    fn collect(&mut self, room: usize, into: &mut VecDeque<Record>) {
        self.reader.take(room, |ticks, line| into.push_back(record(line, self.anchor.unix_nanos(ticks))));
    }

    fn mark(&mut self) {
        self.reader.mark();
    }

    fn reached(&self) -> bool {
        self.reader.reached()
    }
}

/// Log records by OTLP.
pub(crate) struct ToCollector {
    pub(crate) client: Client,
    pub(crate) resource: ResourceMessage,
}

impl Sink<Record> for ToCollector {
    fn export(&mut self, batch: Vec<Record>) -> Vec<(u64, Delivery)> {
        let mut by_scope: BTreeMap<String, Vec<LogRecord>> = BTreeMap::new();
        for Record { target, record } in batch {
            by_scope.entry(target).or_default().push(record);
        }
        let resource = ResourceLogs {
            resource: Some(Resource { attributes: self.resource.attributes.0.clone(), ..Default::default() }),
            scope_logs: Vec::new(),
            schema_url: self.resource.schema_url.clone().unwrap_or_default(),
        };
        let mut batch = Batch::default();
        let resource = batch.header(RESOURCE, resource.encode_to_vec());
        for (target, records) in by_scope {
            let scope = Some(InstrumentationScope { name: target, ..Default::default() });
            let scope = batch.header(SCOPE, ScopeLogs { scope, ..Default::default() }.encode_to_vec());
            batch.within(&[resource, scope]);
            batch.items(ITEM, &records);
        }
        self.client.deliver(&batch)
    }
}

/// Reads a line that the runtime wrote: a flat JSON object.
fn record(line: &[u8], unix_nanos: u64) -> Record {
    let mut target = String::new();
    let mut record =
        LogRecord { time_unix_nano: unix_nanos, observed_time_unix_nano: unix_nanos, ..LogRecord::default() };
    for (key, value) in Members(line) {
        match key {
            b"time" => {}
            b"level" => (record.severity_number, record.severity_text) = severity(&unescape(value)),
            b"msg" => record.body = Some(AnyValue { value: Some(Value::StringValue(unescape(value))) }),
            b"target" => target = unescape(value),
            b"trace_id" => record.trace_id = bytes(value),
            b"span_id" => record.span_id = bytes(value),
            key if record.attributes.len() < limits().log_attributes => {
                record.attributes.push(attribute(key, value));
            }
            _ => record.dropped_attributes_count += 1,
        }
    }
    Record { target, record }
}

fn severity(level: &str) -> (i32, String) {
    let number = match level {
        "TRACE" => SeverityNumber::Trace,
        "DEBUG" => SeverityNumber::Debug,
        "INFO" => SeverityNumber::Info,
        "WARN" => SeverityNumber::Warn,
        _ => SeverityNumber::Error,
    };
    (number.into(), level.to_owned())
}

/// By the names of the semantic conventions where they have one.
fn attribute(key: &[u8], value: &[u8]) -> KeyValue {
    let key = match key {
        b"function" => "code.function.name".to_owned(),
        b"error" => "exception.message".to_owned(),
        b"error.kind" => "error.type".to_owned(),
        key => unescape(&[b"\"".as_slice(), key, b"\""].concat()),
    };
    let value = match super::span_data::value(value, limits().log_value_length) {
        opentelemetry::Value::Bool(value) => Value::BoolValue(value),
        opentelemetry::Value::I64(value) => Value::IntValue(value),
        opentelemetry::Value::F64(value) => Value::DoubleValue(value),
        text => Value::StringValue(text.to_string()),
    };
    KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The bytes of an id.
fn bytes(value: &[u8]) -> Vec<u8> {
    let hex = unescape(value);
    let byte = |place: usize| u8::from_str_radix(hex.get(place..place + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map_while(byte).collect()
}

/// The members of a flat JSON object, keys without quotes, values as they stand.
struct Members<'a>(&'a [u8]);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // Behind `{` or `,`.
        let member = self.0.get(1..)?;
        let key = string(member)?;
        let value = member.get(key.len() + 1..)?;
        let len = match string(value) {
            Some(text) => text.len(),
            None => value.iter().position(|byte| matches!(byte, b',' | b'}'))?,
        };
        self.0 = &value[len..];
        Some((&key[1..key.len() - 1], &value[..len]))
    }
}

/// The JSON string that the bytes begin with, quotes included.
fn string(bytes: &[u8]) -> Option<&[u8]> {
    let mut escaped = false;
    let end = bytes.strip_prefix(b"\"")?.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })?;
    Some(&bytes[..end + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_as_it_was_meant() {
        let line = br#"{"time":"2026-11-22T15:22:20.241710Z","level":"ERROR","msg":"it said \"no\" \\","target":"a::b","function":"f","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","n":-3,"x":1.5,"b":true,"odd\"key,":"},{","error":"e"}
"#;
        let Record { target, record } = record(line, 7);
        assert_eq!((target.as_str(), record.time_unix_nano), ("a::b", 7));
        assert_eq!((record.severity_number, record.severity_text.as_str()), (17, "ERROR"));
        let body = record.body.and_then(|body| body.value);
        assert_eq!(body, Some(Value::StringValue("it said \"no\" \\".to_owned())));
        assert_eq!((record.trace_id.len(), record.trace_id[0], record.span_id[7]), (16, 0x0a, 0x31));
        let attributes: Vec<_> = record
            .attributes
            .into_iter()
            .map(|attribute| (attribute.key, attribute.value.and_then(|value| value.value).expect("one")))
            .collect();
        let text = |text: &str| Value::StringValue(text.to_owned());
        let expected = [
            ("code.function.name", text("f")),
            ("n", Value::IntValue(-3)),
            ("x", Value::DoubleValue(1.5)),
            ("b", Value::BoolValue(true)),
            ("odd\"key,", text("},{")),
            ("exception.message", text("e")),
        ];
        assert_eq!(attributes, expected.map(|(key, value)| (key.to_owned(), value)));
    }

    #[test]
    fn what_is_no_line_is_an_empty_record() {
        for bytes in [&b""[..], b"{", b"{}", b"{\"", b"{\"a", b"{\"a\"", b"{\"a\":", b"{\"a\":1", b"\xff"] {
            let Record { record, .. } = record(bytes, 0);
            assert!(record.attributes.is_empty(), "{bytes:?}");
        }
    }
}
