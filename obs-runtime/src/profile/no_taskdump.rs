//! Where tokio's dump of its tasks is not compiled in.

#[inline]
pub(super) fn note_runtime() {}

#[cfg(feature = "admin")]
#[allow(clippy::unused_async, reason = "as the real one")]
pub(crate) async fn tokio_tasks() -> Option<String> {
    None
}
