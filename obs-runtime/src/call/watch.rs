//! Shows a call to those who look for what is running: to the profiles, or to nobody without them.

use super::live::Live;

#[cfg(feature = "profile")]
impl Live {
    /// The call is on this thread from here on.
    pub(super) fn is_here(&mut self) {
        self.depth.enter(self.site, self.waits.is_some(), self.started);
    }

    /// The call is not on this thread any more.
    #[inline]
    pub(super) fn is_gone(&mut self) {
        self.depth.leave();
    }

    /// A poll begins. What [`waits`](Self::waits) takes.
    #[inline]
    pub(super) fn is_polled(&mut self) -> Polled {
        Polled(self.waits.poll(&mut self.depth, self.site, self.started))
    }

    /// The poll has ended, and the call waits.
    pub(super) fn has_to_wait(&mut self, polled: &Polled) {
        self.waits.wait(self.depth, self.started, polled.0);
    }

    /// The call has ended.
    #[inline]
    pub(super) fn is_over(&mut self, now: u64) {
        if self.site.spec.future {
            self.waits.end(self.depth, self.started, now);
        }
        self.depth.leave();
    }
}

/// How often calls on this thread had begun to wait when a poll began.
#[derive(Debug)]
pub(super) struct Polled(#[cfg(feature = "profile")] u64);

#[cfg(not(feature = "profile"))]
#[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "as the real ones")]
impl Live {
    pub(super) fn is_here(&mut self) {}

    #[inline]
    pub(super) fn is_gone(&mut self) {}

    #[inline]
    pub(super) fn is_polled(&mut self) -> Polled {
        Polled()
    }

    #[inline]
    pub(super) fn has_to_wait(&mut self, _: &Polled) {}

    #[inline]
    pub(super) fn is_over(&mut self, _: u64) {}
}
