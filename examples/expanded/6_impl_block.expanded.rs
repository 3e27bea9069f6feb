//! On a block, the attribute observes each function in it, and the type's name is part of theirs.
pub struct Store {
    pub items: Vec<u32>,
}
impl Store {
    pub const fn new() -> Self {
        Self { items: Vec::new() }
    }
    pub fn add(&mut self, item: u32) -> Result<usize, String> {
        let __site = {
            use ::obs_runtime::__private as __obs;
            const __NAME: __obs::Name = __obs::concat!(
                __obs::module_path!(), "::Store::add"
            );
            const __SPEC: __obs::Spec = __obs::Spec::new();
            __obs::site!(__NAME, __SPEC, __obs::Level::DEBUG, [])
        };
        let mut __call = ::obs_runtime::__private::Call::silent();
        (&mut __call).enter(__site);
        let __ret = ::obs_runtime::__private::body(move || -> Result<usize, String> {
            self.items.push(item);
            Ok(self.items.len())
        });
        return (&mut __call)
            .leave(__ret, |__ret| ::obs_runtime::__private::outcome!(__ret));
    }
    pub fn len(&self) -> usize {
        self.items.len()
    }
}
