//! Asks for profiles over HTTP, and reads them.

use prost::Message;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    head: String,
    /// Its body, as it was before it was cut into chunks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Its body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request and leaves the connection open.
///
/// # Panics
/// If it is not taken.
#[must_use]
pub fn ask(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it accepts");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout");
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
        .expect("it is taken");
    stream
}

/// The answer to a request.
///
/// # Panics
/// If there is none that makes sense.
#[must_use]
pub fn get(address: &str, path: &str) -> Answer {
    let mut read = Vec::new();
    ask(address, path).read_to_end(&mut read).expect("an answer");
    let end = read.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(read[..end].to_vec()).expect("UTF-8");
    let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
    let body = read.split_off(end + 4);
    let mut answer = Answer { status, head, body };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = joined(&answer.body);
    }
    answer
}

/// The chunks of a body that ends as it should.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|bytes| bytes == b"\r\n").expect("a chunk");
        let length = str::from_utf8(&chunks[..end]).expect("UTF-8");
        let length = usize::from_str_radix(length, 16).expect("a length");
        let chunk = &chunks[end + 2..];
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..length]);
        chunks = &chunk[length + 2..];
    }
}

/// A profile, by the schema of pprof as far as we look at it.
#[derive(Clone, PartialEq, Message)]
pub struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
}

/// The profile in an answer's body.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn read(body: &[u8]) -> Profile {
    let mut message = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut message).expect("gzip");
    Profile::decode(&message[..]).expect("a profile")
}

impl Profile {
    fn string(&self, place: i64) -> &str {
        &self.string_table[usize::try_from(place).expect("a place")]
    }

    /// The columns, each as `type/unit`.
    ///
    /// # Panics
    /// If a text that it names is not there.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let column = |of: &ValueType| format!("{}/{}", self.string(of.r#type), self.string(of.unit));
        self.sample_type.iter().map(column).collect()
    }

    /// The time that it is about.
    ///
    /// # Panics
    /// If that is negative.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.duration_nanos.try_into().expect("it is not negative"))
    }

    fn function(&self, location: u64) -> &str {
        let location = self.location.iter().find(|found| found.id == location).expect("a location");
        let line = location.line.first().expect("a line");
        let function = self.function.iter().find(|found| found.id == line.function_id).expect("a function");
        self.string(function.name)
    }

    /// A column by the innermost function, largest first.
    ///
    /// # Panics
    /// If there is no such column, or something that it names is not there.
    #[must_use]
    pub fn flat(&self, column: &str) -> Vec<(String, i64)> {
        let place = self.sample_type.iter().position(|found| self.string(found.r#type) == column);
        let place = place.expect("a column");
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for sample in &self.sample {
            let function = sample.location_id.first().map_or("", |location| self.function(*location));
            *sums.entry(function.to_owned()).or_default() += sample.value[place];
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|(_, value)| std::cmp::Reverse(*value));
        sums
    }
}
