//! A limit on the size of files (`ulimit -f`) as an error of the write, not as the end of the process.

/// From now on a write beyond the limit fails with `EFBIG`. By default, its signal `SIGXFSZ` ends the process. If the
/// application has chosen another action for that signal, it stays.
///
/// The handler does nothing. Unlike an ignored signal, it is not passed on to programs that this process executes.
#[cfg(unix)]
#[allow(unsafe_code, reason = "the action of a signal takes system calls")]
pub(super) fn limit_is_an_error() {
    use std::mem::MaybeUninit;
    use std::ptr::null_mut;

    extern "C" fn pass(_: libc::c_int) {}

    let handler: extern "C" fn(libc::c_int) = pass;
    // SAFETY: zeroes are a valid `sigaction`, the default action with an empty mask. Both pointers are to locals that
    // outlive the calls. The handler touches nothing, so it may interrupt any code.
    unsafe {
        let mut found = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        if libc::sigaction(libc::SIGXFSZ, null_mut(), &raw mut found) != 0
            || found.sa_sigaction != libc::SIG_DFL
        {
            return;
        }
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigemptyset(&raw mut action.sa_mask);
        // If this fails, the limit ends the process, as it does without a runtime.
        libc::sigaction(libc::SIGXFSZ, &raw const action, null_mut());
    }
}

#[cfg(not(unix))]
pub(super) fn limit_is_an_error() {}
