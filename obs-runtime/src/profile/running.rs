//! Which observed call a thread is in, for whoever looks at the thread from outside.

use crate::site::Site;
use crate::store::functions;

/// The innermost observed call of this thread: the address of its site, and the id of its trace, or 0. Fit for a
/// handler of signals.
pub(crate) fn here() -> Option<(usize, u128)> {
    None
}

/// The site at an address that [`here`] gave.
pub(crate) fn resolve(site: usize) -> Option<&'static Site> {
    functions().iter().copied().find(|known| std::ptr::from_ref(*known).addr() == site)
}
