//! Values of fields, as `tracing` hands them over, written as JSON.

use super::Fields;
use tracing_core::Field;

/// Where values go.
pub(crate) trait Values {
    /// Takes a field, whose value `write` appends.
    fn value(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>));

    /// Where the value goes if the field is an event's message, which is set apart.
    fn message(&mut self, _: &Field) -> Option<&mut Vec<u8>> {
        None
    }
}

/// Has a type that takes [`Values`] visit fields.
macro_rules! visits_values {
    ($visitor:ty) => {
        const _: () = {
            use tracing_core::Field;
            use $crate::context::Values;
            use $crate::context::json::{
                write_bool, write_f64, write_formatted, write_integer, write_string,
            };

            impl tracing_core::field::Visit for $visitor {
                fn record_f64(&mut self, field: &Field, value: f64) {
                    self.value(field, |out| write_f64(out, value));
                }

                fn record_i64(&mut self, field: &Field, value: i64) {
                    self.value(field, |out| write_integer(out, value));
                }

                fn record_u64(&mut self, field: &Field, value: u64) {
                    self.value(field, |out| write_integer(out, value));
                }

                fn record_i128(&mut self, field: &Field, value: i128) {
                    self.value(field, |out| write_integer(out, value));
                }

                fn record_u128(&mut self, field: &Field, value: u128) {
                    self.value(field, |out| write_integer(out, value));
                }

                fn record_bool(&mut self, field: &Field, value: bool) {
                    self.value(field, |out| write_bool(out, value));
                }

                fn record_str(&mut self, field: &Field, value: &str) {
                    match self.message(field) {
                        Some(message) => write_string(message, value),
                        None => self.value(field, |out| write_string(out, value)),
                    }
                }

                fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
                    let text = $crate::outcome::ErrorRef::Error(value).text();
                    self.value(field, |out| write_string(out, &text));
                }

                fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                    match self.message(field) {
                        Some(message) => write_formatted(message, value),
                        None => self.value(field, |out| write_formatted(out, value)),
                    }
                }
            }
        };
    };
}
pub(crate) use visits_values;

impl Values for Fields {
    #[inline]
    fn value(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>)) {
        self.push(field.name(), write);
    }
}

visits_values!(Fields);

/// Fields whose keys the compiler has written as JSON already.
pub(super) struct Keyed<'a> {
    pub(super) fields: &'a mut Fields,
    /// The key of the next field; empty if it has to be looked at.
    pub(super) key: &'static str,
}

impl Values for Keyed<'_> {
    #[inline]
    fn value(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>)) {
        if self.key.is_empty() {
            self.fields.push(field.name(), write);
        } else {
            self.fields.push_behind(|out| out.extend_from_slice(self.key.as_bytes()), write);
        }
    }
}

visits_values!(Keyed<'_>);

/// Sets an event's message apart from its other fields.
pub(crate) struct EventFields<'a> {
    pub(crate) message: &'a mut Vec<u8>,
    pub(crate) fields: &'a mut Fields,
}

impl Values for EventFields<'_> {
    fn value(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>)) {
        self.fields.push(field.name(), write);
    }

    fn message(&mut self, field: &Field) -> Option<&mut Vec<u8>> {
        (field.name() == MESSAGE).then(|| {
            // Of two, the last.
            self.message.clear();
            &mut *self.message
        })
    }
}

visits_values!(EventFields<'_>);

/// The field by which `tracing` knows an event's message.
pub(crate) const MESSAGE: &str = "message";
