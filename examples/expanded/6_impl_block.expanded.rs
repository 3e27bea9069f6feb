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
            __obs::site!(
                __obs::concat!(__obs::module_path!(), "::Store::add"),
                __obs::Spec::new(), __obs::Level::DEBUG, []
            )
        };
        let mut __call = ::obs_runtime::__private::Call::silent();
        (&mut __call).enter(__site);
        let __ret = ::obs_runtime::__private::body(move || -> Result<usize, String> {
            self.items.push(item);
            Ok(self.items.len())
        });
        return (&mut __call).leave(::obs_runtime::__private::judge!(& __ret), __ret);
    }
    pub fn len(&self) -> usize {
        self.items.len()
    }
}
