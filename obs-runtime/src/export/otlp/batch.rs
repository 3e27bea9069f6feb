//! A batch in its encoded form, of which any run of items makes a request.
//!
//! Each item is encoded once. A request is composed of the headers around its items: the resource, the scope, and
//! for metrics the metric. The requests of the three signals have the same field numbers for these.

use std::ops::Range;

/// The most bytes of a request, unless one item alone takes more: below the 4 MiB that receivers take by default.
pub(super) const MAX_REQUEST_BYTES: usize = 3 * 1024 * 1024;

/// The field numbers of the messages in each other: resources in a request, scopes in a resource, items in a scope.
pub(crate) const RESOURCE: u8 = 1;
pub(crate) const SCOPE: u8 = 2;
pub(crate) const ITEM: u8 = 2;

/// Bytes of a field's key and length at most.
const FRAME_BYTES: usize = 6;

/// A message around items, without them: its encoded fields, and its own field number in the message around it.
struct Header {
    field: u8,
    bytes: Vec<u8>,
}

struct Item {
    /// The place of its headers in [`Batch::paths`].
    path: usize,
    field: u8,
    bytes: Range<usize>,
}

/// Items, and the messages around them.
#[derive(Default)]
pub(crate) struct Batch {
    headers: Vec<Header>,
    /// Headers by their places, from the outside in.
    paths: Vec<Vec<usize>>,
    items: Vec<Item>,
    bytes: Vec<u8>,
}

impl Batch {
    /// Adds a message around items; returns its place.
    pub(crate) fn header(&mut self, field: u8, bytes: Vec<u8>) -> usize {
        self.headers.push(Header { field, bytes });
        self.headers.len() - 1
    }

    /// The next items are in these messages, from the outside in.
    pub(crate) fn within(&mut self, headers: &[usize]) {
        self.paths.push(headers.to_vec());
    }

    /// Adds items, of that field number in the innermost message around them.
    pub(crate) fn items(&mut self, field: u8, messages: &[impl prost::Message]) {
        for message in messages {
            self.item(field, message);
        }
    }

    fn item(&mut self, field: u8, message: &impl prost::Message) {
        let start = self.bytes.len();
        // A vector takes whatever it is given.
        let _ = message.encode(&mut self.bytes);
        let path = self.paths.len().saturating_sub(1);
        self.items.push(Item { path, field, bytes: start..self.bytes.len() });
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Runs of items whose requests take at most `most` bytes each, except for items that take more alone.
    pub(super) fn parts(&self, most: usize) -> Vec<Range<usize>> {
        let (mut parts, mut start, mut size) = (Vec::new(), 0, 0);
        for (index, item) in self.items.iter().enumerate() {
            let before = index.checked_sub(1).filter(|before| *before >= start);
            let more = self.size_behind(before.map(|before| &self.items[before]), item);
            size += more;
            if size > most && index > start {
                parts.push(start..index);
                (start, size) = (index, self.size_behind(None, item));
            }
        }
        if start < self.items.len() {
            parts.push(start..self.items.len());
        }
        parts
    }

    /// Bytes that an item adds to a request, at most.
    fn size_behind(&self, before: Option<&Item>, item: &Item) -> usize {
        let framed = |bytes: usize| bytes + FRAME_BYTES;
        let path = self.path(item);
        let shared = before.map_or(0, |before| {
            path.iter().zip(self.path(before)).take_while(|(here, there)| here == there).count()
        });
        let headers = path[shared..].iter().map(|header| framed(self.headers[*header].bytes.len()));
        framed(item.bytes.len()) + headers.sum::<usize>()
    }

    fn path(&self, item: &Item) -> &[usize] {
        self.paths.get(item.path).map_or(&[], Vec::as_slice)
    }

    /// The request with a run of items.
    pub(crate) fn request(&self, part: Range<usize>) -> Vec<u8> {
        let mut request = Vec::new();
        self.compose(0, &self.items[part], &mut request);
        request
    }

    /// Appends items, and the messages around them from that depth on.
    fn compose(&self, depth: usize, items: &[Item], into: &mut Vec<u8>) {
        let at = |item: &Item| self.path(item).get(depth).copied();
        for run in items.chunk_by(|one, next| at(one) == at(next)) {
            let Some(place) = run.first().and_then(at) else {
                for item in run {
                    frame(item.field, &self.bytes[item.bytes.clone()], into);
                }
                continue;
            };
            let header = &self.headers[place];
            let mut message = header.bytes.clone();
            self.compose(depth + 1, run, &mut message);
            frame(header.field, &message, into);
        }
    }
}

/// Appends a field that is a message. Field numbers are below 16, so that the key is one byte.
fn frame(field: u8, message: &[u8], into: &mut Vec<u8>) {
    const LENGTH_DELIMITED: u8 = 2;
    into.push(field << 3 | LENGTH_DELIMITED);
    // A vector takes whatever it is given.
    let _ = prost::encode_length_delimiter(message.len(), into);
    into.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;
    use std::iter;

    fn scope(name: &str, sizes: &[usize]) -> ScopeSpans {
        let span = |(number, size): (u64, &usize)| Span {
            name: "x".repeat(*size),
            start_time_unix_nano: number,
            ..Span::default()
        };
        ScopeSpans {
            scope: Some(InstrumentationScope { name: name.to_owned(), ..InstrumentationScope::default() }),
            spans: (1..).zip(sizes).map(span).collect(),
            schema_url: "schema".to_owned(),
        }
    }

    fn request(scopes: Vec<ScopeSpans>) -> ExportTraceServiceRequest {
        let resource =
            ResourceSpans { scope_spans: scopes, schema_url: "r".to_owned(), ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![resource] }
    }

    fn batch(request: &ExportTraceServiceRequest) -> Batch {
        let mut batch = Batch::default();
        for resource in &request.resource_spans {
            let around = ResourceSpans { scope_spans: Vec::new(), ..resource.clone() }.encode_to_vec();
            let around = batch.header(RESOURCE, around);
            for scope in &resource.scope_spans {
                let header = ScopeSpans { spans: Vec::new(), ..scope.clone() }.encode_to_vec();
                let header = batch.header(SCOPE, header);
                batch.within(&[around, header]);
                batch.items(ITEM, &scope.spans);
            }
        }
        batch
    }

    #[test]
    fn the_request_of_all_items_is_the_one_they_came_from() {
        let all = request(vec![scope("a", &[1, 2, 3]), scope("b", &[4]), scope("a", &[5, 6])]);
        let batch = batch(&all);
        assert_eq!(ExportTraceServiceRequest::decode(&batch.request(0..6)[..]), Ok(all));
        let some = request(vec![scope("b", &[4]), scope("a", &[5])]);
        assert_eq!(ExportTraceServiceRequest::decode(&batch.request(3..5)[..]), Ok(some));
    }

    #[test]
    fn parts_are_as_large_as_they_may_be_and_no_larger() {
        let batch = batch(&request(vec![scope("a", &[100; 50]), scope("b", &[5000]), scope("c", &[10; 90])]));
        let parts = batch.parts(1000);
        let items: Vec<usize> = parts.iter().cloned().flatten().collect();
        assert_eq!(items, (0..141).collect::<Vec<_>>());
        for part in &parts {
            let size = batch.request(part.clone()).len();
            assert!(size <= 1000 || part.len() == 1, "{part:?}: {size}");
        }
        assert!(parts.contains(&(50..51)), "the large one is alone: {parts:?}");
        assert!(parts.len() <= 12, "{parts:?}");
        assert!(batch.parts(usize::MAX).into_iter().eq(iter::once(0..141)));
        assert!(Batch::default().parts(1000).is_empty());
    }
}
