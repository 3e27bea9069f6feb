//! The signals that tell a process to end.

use super::phase::end;
use crate::health;
use std::future::poll_fn;
use std::io;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Some tell a process and its group, which is the same process: so soon it is not a second time.
const ONE_KILL: Duration = Duration::from_millis(500);

/// What told the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGINT`: Ctrl-C on a terminal.
    Interrupt,
    /// `SIGTERM`: whoever runs the process, a container's platform say.
    Terminate,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// What a shell shows for a process that the signal has ended.
    fn exit_code(self) -> i32 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Waits until the process is told to end, with which readiness fails. The second time that it is, it ends at once.
///
/// From the first call on the signals no longer end the process by themselves. They are waited for on a thread of our
/// own, so that the second is heard however stuck the application is. That is from half a second after the first on,
/// as some tell a process twice at once.
pub async fn terminated() -> Signal {
    static TOLD: OnceLock<Option<watch::Receiver<Option<Signal>>>> = OnceLock::new();
    let told = TOLD.get_or_init(|| {
        let (tell, told) = watch::channel(None);
        let listening = health::runtime().and_then(|runtime| {
            let _in_it = runtime.enter();
            let signals = Signals::new()?;
            runtime.spawn(signals.pass_on(tell));
            Ok(told)
        });
        let complain = |error: &io::Error| {
            tracing::error!(target: "obs_runtime::lifecycle", %error, "signals can't be waited for, and end the process at once");
        };
        listening.inspect_err(complain).ok()
    });
    if let Some(mut told) = told.clone() {
        if let Ok(Some(signal)) = told.wait_for(Option::is_some).await.map(|signal| *signal) {
            return signal;
        }
    }
    std::future::pending().await
}

/// Waits until the process is told to end, when readiness fails, and returns after the time that it takes until
/// everybody has seen that and no more requests come. After a Ctrl-C it returns at once: nobody sends traffic there.
///
/// Needs a tokio runtime with its timer enabled.
pub async fn drained(drain: Duration) {
    let signal = terminated().await;
    let drain = if signal == Signal::Interrupt { Duration::ZERO } else { drain };
    tokio::time::sleep(drain).await;
}

struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    terminate: tokio::signal::windows::CtrlShutdown,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(windows)]
    fn new() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_c, ctrl_shutdown};
        Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_shutdown()? })
    }

    async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            if self.interrupt.poll_recv(cx).is_ready() {
                return Poll::Ready(Signal::Interrupt);
            }
            self.terminate.poll_recv(cx).map(|_| Signal::Terminate)
        })
        .await
    }

    async fn pass_on(mut self, tell: watch::Sender<Option<Signal>>) {
        let first = self.next().await;
        // Here, and not where it is waited for: that may be stuck.
        end();
        health::aside(move || {
            tracing::info!(target: "obs_runtime::lifecycle", signal = first.name(), "told to end");
        });
        tell.send_replace(Some(first));
        let told = Instant::now();
        let second = loop {
            let signal = self.next().await;
            if told.elapsed() >= ONE_KILL {
                break signal;
            }
        };
        health::aside(move || {
            tracing::warn!(target: "obs_runtime::lifecycle", signal = second.name(), "told to end again, and ends at once");
        });
        // For that line, whether or not somebody takes it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        crate::setup::end_at_once();
        std::process::exit(second.exit_code());
    }
}
