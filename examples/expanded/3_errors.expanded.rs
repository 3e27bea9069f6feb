//! A function that fails in ways that are counted apart.
#[derive(Debug)]
pub enum ParseError {
    Empty,
    NotANumber(String),
}
#[automatically_derived]
impl ::obs_runtime::Label for ParseError {
    const CARDINALITY: ::obs_runtime::__private::usize = 2;
    fn index(&self) -> ::obs_runtime::__private::usize {
        match self {
            Self::Empty { .. } => 0,
            Self::NotANumber { .. } => 1,
        }
    }
    fn value(
        index: ::obs_runtime::__private::usize,
    ) -> ::obs_runtime::__private::LabelText {
        ::obs_runtime::__private::nth(&["empty", "nan"], index)
    }
}
pub fn parse(text: &str) -> Result<u32, ParseError> {
    let __site = {
        use ::obs_runtime::__private as __obs;
        const __NAME: __obs::Name = __obs::concat!(__obs::module_path!(), "::parse");
        const __SPEC: __obs::Spec = __obs::Spec::new().errors::<ParseError>();
        const _: () = (&__SPEC).check_budget(__NAME);
        __obs::site!(__NAME, __SPEC, __obs::Level::INFO, [])
    };
    let mut __call = ::obs_runtime::__private::Call::silent();
    (&mut __call).enter(__site);
    let __ret = ::obs_runtime::__private::body(move || -> Result<u32, ParseError> {
        if text.is_empty() {
            return Err(ParseError::Empty);
        }
        text.parse().map_err(|_| ParseError::NotANumber(text.to_owned()))
    });
    return (&mut __call)
        .leave(
            ::obs_runtime::__private::kinds_of::<
                ParseError,
                _,
                _,
            >(&__ret, ::obs_runtime::__private::judge!(& __ret)),
            __ret,
        );
}
