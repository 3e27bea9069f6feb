//! Lines of `tracing` events, as JSON: what is the same in all lines of a callsite is put together once, and so is what
//! all lines of a frame say of where they are. The rest is written where it stays.

use super::line::{begin_json, end_json, write_context};
use super::{Buffers, framed, hand_over};
use crate::clock;
use crate::context::{MESSAGE, Values, has_room, visits_values, with_stack, write_key, write_string};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tracing_core::{Event, Field, Metadata};

/// What is known of an event's callsite.
pub(super) struct Callsite {
    metadata: &'static Metadata<'static>,
    /// `,"target":"..",`
    target: Box<[u8]>,
    /// `"key":` of each field.
    keys: Box<[Box<[u8]>]>,
    /// Whether the first field is the message.
    has_message: bool,
    /// Whether no other is, and no key comes twice: so all come in the order of the line.
    in_order: bool,
}

/// Callsites that a thread has had lines of, by their address.
pub(super) struct Callsites([Option<&'static Callsite>; 64]);

impl Callsites {
    pub(super) const fn new() -> Self {
        Self([None; 64])
    }

    fn of(&mut self, metadata: &'static Metadata<'static>) -> &'static Callsite {
        // Metadata is at least so large.
        let number = std::ptr::from_ref(metadata).addr() / 64;
        let place = &mut self.0[(number ^ (number / 64)) % 64];
        match place {
            Some(callsite) if std::ptr::eq(callsite.metadata, metadata) => callsite,
            _ => place.insert(Callsite::known(metadata)),
        }
    }
}

impl Callsite {
    /// As all threads know it. Callsites are never forgotten: they are statics of the program.
    #[cold]
    fn known(metadata: &'static Metadata<'static>) -> &'static Self {
        static KNOWN: Mutex<Option<HashMap<usize, &'static Callsite>>> = Mutex::new(None);
        let address = std::ptr::from_ref(metadata).addr();
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        known.entry(address).or_insert_with(|| Box::leak(Box::new(Self::new(metadata))))
    }

    fn new(metadata: &'static Metadata<'static>) -> Self {
        let mut target = b",\"target\":".to_vec();
        write_string(&mut target, metadata.target());
        target.push(b',');
        let names: Vec<&str> = metadata.fields().iter().map(|field| field.name()).collect();
        let key = |name: &&str| {
            let mut key = Vec::new();
            write_key(&mut key, name);
            key.into()
        };
        let keys: Box<[Box<[u8]>]> = names.iter().map(key).collect();
        let message_behind = names.iter().skip(1).any(|name| *name == MESSAGE);
        let twice = keys.iter().enumerate().any(|(place, key)| keys[..place].contains(key));
        Self {
            metadata,
            target: target.into(),
            keys,
            has_message: names.first() == Some(&MESSAGE),
            in_order: !message_behind && !twice,
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether one of its fields has that key, without quotes.
    fn has(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|own| own.get(1..own.len().saturating_sub(2)) == Some(key))
    }
}

/// What has become of an event.
pub(super) enum Written {
    Yes,
    /// There was no room for its line.
    Dropped,
    /// Its line has to be put together by way of its parts.
    Not,
}

/// Writes the line of an event that belongs where this thread is.
pub(super) fn write(event: &Event<'_>, buffers: &mut Buffers) -> Written {
    let metadata = event.metadata();
    let callsite = buffers.callsites.of(metadata);
    let (level, target) = (*metadata.level(), metadata.target());
    let apart = with_stack(|stack| {
        if super::is_passed_over(stack, level, target) {
            return None;
        }
        Some(stack.is_apart(callsite.address(), |key| callsite.has(key)))
    });
    match apart {
        Some(None) => return Written::Yes,
        Some(Some(true)) if callsite.in_order => {}
        _ => return Written::Not,
    }
    let ticks = clock::now();
    let Buffers { line, anchor, stamp, .. } = buffers;
    framed::begin(line);
    begin_json(line, stamp.of(anchor.unix_nanos(ticks)), level);
    let mut writing = Writing { start: line.len(), line, callsite, next: 0, begun: false, irregular: false };
    event.record(&mut writing);
    writing.begin_fields();
    if writing.irregular {
        return Written::Not;
    }
    end_json(line);
    if hand_over(ticks, line) { Written::Yes } else { Written::Dropped }
}

/// A line, written up to its message at first.
struct Writing<'a> {
    line: &'a mut Vec<u8>,
    /// Where the message begins.
    start: usize,
    callsite: &'static Callsite,
    /// The first field that may come next.
    next: usize,
    /// Whether all is written that stands before the event's own fields.
    begun: bool,
    /// Whether the line can't be written like this after all.
    irregular: bool,
}

impl Writing<'_> {
    /// Writes what stands before the event's own fields.
    fn begin_fields(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        if self.line.len() == self.start {
            self.line.extend_from_slice(b"\"\"");
        }
        self.line.extend_from_slice(&self.callsite.target);
        with_stack(|stack| {
            match stack.said(self.callsite.address(), |key| self.callsite.has(key), write_context) {
                Some(said) => self.line.extend_from_slice(said),
                // What formats the message has recorded something here.
                None => self.irregular = true,
            }
        });
        self.start = self.line.len();
    }
}

impl Values for Writing<'_> {
    #[inline]
    fn value(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>)) {
        self.begin_fields();
        // Whoever makes an event by hand may give its values in any order, and one twice.
        self.irregular |= field.index() < std::mem::replace(&mut self.next, field.index() + 1);
        if has_room(self.line.len() - self.start) {
            match self.callsite.keys.get(field.index()) {
                Some(key) => self.line.extend_from_slice(key),
                None => write_key(self.line, field.name()),
            }
            write(self.line);
            self.line.push(b',');
        }
    }

    fn message(&mut self, field: &Field) -> Option<&mut Vec<u8>> {
        let is_it = self.callsite.has_message && field.index() == 0 && self.next == 0;
        is_it.then(|| {
            self.next = 1;
            &mut *self.line
        })
    }
}

visits_values!(Writing<'_>);
