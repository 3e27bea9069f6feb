//! Shows a call to those who look for what is running: in the profiles, or nowhere without them.

#[cfg(feature = "profile")]
pub(super) use crate::profile::Watch;

#[cfg(not(feature = "profile"))]
pub(super) use nothing::Watch;

#[cfg(not(feature = "profile"))]
#[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "as the real one")]
mod nothing {
    use crate::site::Site;

    /// Without the feature `profile` nobody looks.
    #[derive(Debug)]
    pub(crate) struct Watch;

    #[derive(Debug)]
    pub(crate) struct Poll;

    impl Watch {
        #[inline]
        pub(crate) fn begin(_: usize, _: u64) -> Self {
            Self
        }

        #[inline]
        pub(crate) fn enter(&mut self, _: &'static Site, _: u64) {}

        #[inline]
        pub(crate) fn leave(&mut self) {}

        #[inline]
        pub(crate) fn polled(&mut self, _: &'static Site, _: u64) -> Poll {
            Poll
        }

        #[inline]
        pub(crate) fn waits(&mut self, _: u64, _: &Poll) {}

        #[inline]
        pub(crate) fn end(&mut self, _: &'static Site, _: u64) {}
    }
}
