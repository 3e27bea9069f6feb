//! Values that fields of observed functions can hold as they are: those that `tracing` takes. Here each writes itself,
//! without a visitor between.

use super::json::{write_bool, write_f64, write_formatted, write_integer, write_string};
use crate::outcome::ErrorRef;
use std::error::Error;
use std::fmt;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8, NonZeroU16,
    NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize, Wrapping,
};
use tracing_core::field::{DebugValue, DisplayValue, Empty, Value};

/// A value that writes itself as JSON, as a visitor of fields would.
pub trait JsonValue: Value {
    /// Appends it; nothing, if there is none.
    fn write(&self, out: &mut Vec<u8>);
}

macro_rules! json_values {
    ($($ty:ty: |$value:ident, $out:ident| $write:expr;)*) => {$(
        impl JsonValue for $ty {
            #[inline]
            fn write(&self, $out: &mut Vec<u8>) {
                let $value = self;
                $write
            }
        }
    )*};
}

macro_rules! json_integers {
    ($($ty:ty, $non_zero:ty;)*) => {json_values! {$(
        $ty: |value, out| write_integer(out, *value);
        $non_zero: |value, out| write_integer(out, value.get());
        Wrapping<$ty>: |value, out| write_integer(out, value.0);
    )*}};
}

json_integers! {
    u8, NonZeroU8;
    u16, NonZeroU16;
    u32, NonZeroU32;
    u64, NonZeroU64;
    u128, NonZeroU128;
    usize, NonZeroUsize;
    i8, NonZeroI8;
    i16, NonZeroI16;
    i32, NonZeroI32;
    i64, NonZeroI64;
    i128, NonZeroI128;
    isize, NonZeroIsize;
}

json_values! {
    bool: |value, out| write_bool(out, *value);
    f32: |value, out| write_f64(out, f64::from(*value));
    f64: |value, out| write_f64(out, *value);
    Wrapping<f32>: |value, out| write_f64(out, f64::from(value.0));
    Wrapping<f64>: |value, out| write_f64(out, value.0);
    Wrapping<bool>: |value, out| write_bool(out, value.0);
    str: |value, out| write_string(out, value);
    String: |value, out| write_string(out, value);
    [u8]: |value, out| write_formatted(out, &Hex(value));
    fmt::Arguments<'_>: |value, out| write_formatted(out, value);
    dyn Error + 'static: |value, out| write_error(out, value);
    dyn Error + Send + 'static: |value, out| write_error(out, value);
    dyn Error + Sync + 'static: |value, out| write_error(out, value);
    dyn Error + Send + Sync + 'static: |value, out| write_error(out, value);
    Empty: |_value, _out| ();
}

impl<T: fmt::Display> JsonValue for DisplayValue<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_formatted(out, self);
    }
}

impl<T: fmt::Debug> JsonValue for DebugValue<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_formatted(out, self);
    }
}

impl<T: JsonValue> JsonValue for Option<T> {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.write(out);
        }
    }
}

impl<T: JsonValue + ?Sized> JsonValue for &T {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

impl<T: JsonValue + ?Sized> JsonValue for &mut T {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

impl<T: JsonValue + ?Sized> JsonValue for Box<T> {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

fn write_error(out: &mut Vec<u8>, error: &(dyn Error + 'static)) {
    write_string(out, &ErrorRef::Error(error).text());
}

/// Bytes as `tracing` shows them.
struct Hex<'a>(&'a [u8]);

impl fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (place, byte) in self.0.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{EventFields, Fields};
    use tracing_core::field::{FieldSet, debug, display};

    /// What a visitor makes of it, which has it from `tracing`.
    fn visited(value: &dyn JsonValue) -> Vec<u8> {
        let mut fields = Fields::new();
        let names = FieldSet::new(&["key"], tracing_core::identify_callsite!(&CALLSITE));
        let field = names.field("key").expect("there is one");
        value.record(&field, &mut EventFields { message: &mut Vec::new(), fields: &mut fields });
        fields.all().first().map_or_else(Vec::new, |entry| fields.value(entry).to_vec())
    }

    static CALLSITE: crate::site::Site = crate::site::Site::of_tests("", crate::site::Spec::new());

    #[test]
    fn each_writes_itself_as_a_visitor_would() {
        let error = || Box::new(fmt::Error);
        let mut number = -7_i64;
        let values: &[&dyn JsonValue] = &[
            &u64::MAX,
            &i128::MIN,
            &u8::MAX,
            &i8::MIN,
            &NonZeroU16::MIN,
            &NonZeroI128::MIN,
            &Wrapping(7_isize),
            &Wrapping(1.5_f32),
            &Wrapping(true),
            &0.1_f32,
            &f64::NAN,
            &1e300,
            &false,
            &"a \"text\"\n",
            &String::from("a text"),
            &&b"\x00\xff"[..],
            &&b""[..],
            &Box::<str>::from("boxed"),
            &Some(3_u32),
            &None::<u32>,
            &Some(Some(&"nested")),
            &Empty,
            &&mut number,
            &display("shown"),
            &debug("shown"),
            &(error() as Box<dyn Error + 'static>),
            &(error() as Box<dyn Error + Send + 'static>),
            &(error() as Box<dyn Error + Sync + 'static>),
            &(error() as Box<dyn Error + Send + Sync + 'static>),
        ];
        for value in values {
            let mut written = Vec::new();
            value.write(&mut written);
            let (written, visited) = (String::from_utf8(written), String::from_utf8(visited(*value)));
            assert_eq!(written, visited);
        }
        let mut written = Vec::new();
        format_args!("{} and {}", 1, 2).write(&mut written);
        assert_eq!(written, b"\"1 and 2\"");
    }
}
