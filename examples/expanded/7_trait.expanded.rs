//! The default methods of a trait.
pub trait Greets {
    fn name(&self) -> String;
    fn greet(&self) -> String {
        let __site = {
            use ::obs_runtime::__private as __obs;
            const __NAME: __obs::Name = __obs::concat!(
                __obs::module_path!(), "::Greets::greet"
            );
            const __SPEC: __obs::Spec = __obs::Spec::new().stays().infallible();
            __obs::site!(__NAME, __SPEC, __obs::Level::INFO, [])
        };
        let mut __call = ::obs_runtime::__private::Call::silent();
        (&mut __call).enter(__site);
        { format!("Hello, {}", self.name()) }
    }
}
impl Greets for u32 {
    fn name(&self) -> String {
        self.to_string()
    }
}
