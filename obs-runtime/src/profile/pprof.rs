//! A profile as `go tool pprof` reads it: the protocol buffer `perftools.profiles.Profile`, of which these are the fields
//! that we fill, compressed by gzip.

use super::Profile;
use super::model::{Frame, ValueType as Column};
use crate::text::escaped;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use std::collections::HashMap;
use std::io::Write;
use std::time::SystemTime;

impl Profile {
    /// The profile in pprof's format, compressed by gzip: what `go tool pprof`, Pyroscope and others read. The same
    /// profile always is the same bytes.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let directory = std::env::temp_dir();
    /// let profile = obs_runtime::profile::block();
    /// std::fs::write(directory.join("block.pb.gz"), profile.to_pprof())?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_pprof(&self) -> Vec<u8> {
        let program = std::env::current_exe().unwrap_or_default();
        let message = Builder::default().message(self, &program.to_string_lossy());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // A `Vec` takes whatever it is given.
        let _ = encoder.write_all(&message.encode_to_vec());
        encoder.finish().unwrap_or_default()
    }
}

/// What has been numbered so far. Numbers of strings begin at 0, which is the empty one; all others at 1.
#[derive(Default)]
struct Builder<'a> {
    strings: Numbers<&'a str>,
    functions: Numbers<(&'a str, &'a str)>,
    locations: Numbers<&'a Frame>,
}

/// Numbers by order of appearance.
struct Numbers<T> {
    known: HashMap<T, usize>,
    all: Vec<T>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), all: Vec::new() }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Numbers<T> {
    /// From 0 on.
    fn of(&mut self, item: T) -> usize {
        *self.known.entry(item).or_insert_with(|| {
            self.all.push(item);
            self.all.len() - 1
        })
    }

    /// From 1 on.
    fn id(&mut self, item: T) -> u64 {
        self.of(item) as u64 + 1
    }
}

/// There is one, the program, and what is in it we have named ourselves.
const MAPPING: u64 = 1;

impl<'a> Builder<'a> {
    fn message(mut self, profile: &'a Profile, program: &'a str) -> Root {
        self.string("");
        let sample_type: Vec<_> = profile.types.iter().map(|column| self.column(*column)).collect();
        let default_sample_type = sample_type.last().map_or(0, |column| column.r#type);
        let (period_type, period) =
            profile.period.map_or((None, 0), |(column, period)| (Some(column), period));
        let period_type = period_type.map(|column| self.column(column));
        let mapping = Mapping {
            id: MAPPING,
            filename: self.string(program),
            has_functions: true,
            has_filenames: true,
            has_line_numbers: true,
            has_inline_frames: true,
        };
        let sample = profile.samples.iter().map(|((stack, labels), values)| Sample {
            location_id: stack.iter().map(|frame| self.locations.id(frame)).collect(),
            value: values.clone(),
            label: labels
                .iter()
                .map(|label| Label { key: self.string(label.key), str: self.string(label.value.as_str()) })
                .collect(),
        });
        let sample = sample.collect();
        let frames = std::mem::take(&mut self.locations.all);
        let location = frames.into_iter().zip(1..).map(|(frame, id)| Location {
            id,
            mapping_id: MAPPING,
            address: frame.address,
            line: vec![Line {
                function_id: self.functions.id((frame.function.as_str(), frame.file.as_str())),
                line: frame.line.into(),
            }],
        });
        let location = location.collect();
        let functions = std::mem::take(&mut self.functions.all);
        let function = functions.into_iter().zip(1..).map(|((name, file), id)| Function {
            id,
            name: self.string(name),
            filename: self.string(file),
        });
        let function = function.collect();
        Root {
            sample_type,
            sample,
            mapping: vec![mapping],
            location,
            function,
            // `go tool pprof` prints them as they are.
            string_table: self.strings.all.into_iter().map(|text| escaped(text).into_owned()).collect(),
            time_nanos: profile.taken.duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanos),
            duration_nanos: nanos(profile.duration),
            period_type,
            period,
            default_sample_type,
        }
    }

    fn string(&mut self, text: &'a str) -> i64 {
        self.strings.of(text).try_into().unwrap_or_default()
    }

    fn column(&mut self, (name, unit): Column) -> ValueType {
        ValueType { r#type: self.string(name), unit: self.string(unit) }
    }
}

fn nanos(duration: std::time::Duration) -> i64 {
    duration.as_nanos().try_into().unwrap_or(i64::MAX)
}

// The fields' names and numbers are those of the schema. Strings are places in the string table.

/// `Profile` of the schema.
#[derive(Clone, PartialEq, Message)]
struct Root {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
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
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    str: i64,
}

#[derive(Clone, PartialEq, Message)]
#[allow(clippy::struct_excessive_bools, reason = "it is the schema's")]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
    #[prost(bool, tag = "10")]
    has_inline_frames: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

/// Without `system_name`: where that is the name, Go's tool takes it for one of C++, and cuts `<..>` out.
#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::model;
    use std::io::Read;
    use std::time::Duration;

    const TYPES: &[Column] = &[("objects", "count"), ("space", "bytes")];

    fn frame(function: &str, line: u32) -> Frame {
        Frame {
            function: function.to_owned().into(),
            file: "src/main.rs".into(),
            line,
            address: u64::from(line) << 4,
        }
    }

    fn sample() -> Profile {
        let mut profile = Profile::new(TYPES, SystemTime::UNIX_EPOCH + Duration::from_secs(7));
        profile.period = Some((("space", "bytes"), 512));
        profile.duration = Duration::from_millis(3);
        let label = |value: &str| vec![model::Label { key: "state", value: value.to_owned().into() }];
        profile.add(vec![frame("b", 2), frame("a", 1)], label("x"), &[1, 10]);
        profile.add(vec![frame("b", 2), frame("a", 1)], label("x"), &[2, 20]);
        profile.add(vec![frame("b", 2), frame("a", 1)], label("y"), &[4, 40]);
        profile.add(vec![frame("b", 3), frame("a", 1)], Vec::new(), &[-8, -80]);
        profile
    }

    fn decoded(bytes: &[u8]) -> Root {
        let mut message = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut message).expect("gzip");
        Root::decode(&message[..]).expect("a message")
    }

    #[test]
    fn every_name_and_place_is_there_once() {
        let message = decoded(&sample().to_pprof());
        assert_eq!(message.string_table[0], "");
        let mut strings = message.string_table.clone();
        strings.sort();
        strings.dedup();
        assert_eq!(strings.len(), message.string_table.len());
        assert_eq!(message.location.len(), 3, "one for each line");
        assert_eq!(message.function.len(), 2);
        assert!(message.location.iter().zip(1..).all(|(location, id)| location.id == id));
        assert!(message.function.iter().zip(1..).all(|(function, id)| function.id == id));
    }

    #[test]
    fn all_that_was_measured_comes_back() {
        let message = decoded(&sample().to_pprof());
        let text = |place: i64| message.string_table[usize::try_from(place).expect("a place")].as_str();
        let types: Vec<_> =
            message.sample_type.iter().map(|column| (text(column.r#type), text(column.unit))).collect();
        assert_eq!(types, TYPES);
        assert_eq!(text(message.default_sample_type), "space", "the last one");
        assert_eq!((message.time_nanos, message.duration_nanos), (7_000_000_000, 3_000_000));
        let period = message.period_type.clone().expect("a period");
        assert_eq!((text(period.r#type), text(period.unit), message.period), ("space", "bytes", 512));
        let samples: Vec<_> = message
            .sample
            .iter()
            .map(|sample| {
                let stack: Vec<_> = sample
                    .location_id
                    .iter()
                    .map(|id| {
                        let location = &message.location[usize::try_from(*id).expect("an id") - 1];
                        let line = &location.line[0];
                        let function =
                            &message.function[usize::try_from(line.function_id).expect("an id") - 1];
                        format!("{} {}:{}", text(function.name), text(function.filename), line.line)
                    })
                    .collect();
                let label = sample.label.first().map(|label| (text(label.key), text(label.str)));
                (stack.join(" < "), label, sample.value.clone())
            })
            .collect();
        let (stack, other) = ("b src/main.rs:2 < a src/main.rs:1", "b src/main.rs:3 < a src/main.rs:1");
        let expected = [
            (stack.to_owned(), Some(("state", "x")), vec![3, 30]),
            (stack.to_owned(), Some(("state", "y")), vec![4, 40]),
            (other.to_owned(), None, vec![-8, -80]),
        ];
        assert_eq!(samples, expected);
    }

    #[test]
    fn nobody_has_to_look_into_the_program() {
        let message = decoded(&sample().to_pprof());
        let [mapping] = &message.mapping[..] else { panic!("one mapping: {:?}", message.mapping) };
        assert!(mapping.has_functions && mapping.has_filenames && mapping.has_line_numbers);
        let program = &message.string_table[usize::try_from(mapping.filename).expect("a place")];
        assert!(program.contains("obs_runtime"), "{program}");
        assert!(message.location.iter().all(|location| location.mapping_id == mapping.id));
    }

    #[test]
    fn the_same_profile_is_the_same_bytes() {
        assert_eq!(sample().to_pprof(), sample().to_pprof());
        let empty = Profile::new(TYPES, SystemTime::now());
        assert_eq!(decoded(&empty.to_pprof()).sample, []);
    }
}
