//! The default methods of a trait.
pub trait Greets {
    fn name(&self) -> String;
    fn greet(&self) -> String {
        let __site = {
            use ::obs_runtime::__private as __obs;
            __obs::site!(
                __obs::concat!(__obs::module_path!(), "::Greets::greet"),
                __obs::Spec::new().stays().infallible(), __obs::Level::INFO, []
            )
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
