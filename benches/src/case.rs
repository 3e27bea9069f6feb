//! What is measured: works, and who does them.

/// A row of the table: what a call does besides the function's own body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Red,
    Sampled,
    Root,
    Unsampled,
    NoFields,
    Numbers,
    Texts,
    Line,
    AsyncReady,
    AsyncYield,
    Disabled,
    Stopped,
    StoppedLabels,
    Layer,
}

impl Work {
    pub(crate) const ALL: [Self; 14] = [
        Self::Red,
        Self::Sampled,
        Self::Root,
        Self::Unsampled,
        Self::NoFields,
        Self::Numbers,
        Self::Texts,
        Self::Line,
        Self::AsyncReady,
        Self::AsyncYield,
        Self::Disabled,
        Self::Stopped,
        Self::StoppedLabels,
        Self::Layer,
    ];

    /// What it is called on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Sampled => "sampled",
            Self::Root => "root",
            Self::Unsampled => "unsampled",
            Self::NoFields => "no-fields",
            Self::Numbers => "numbers",
            Self::Texts => "texts",
            Self::Line => "line",
            Self::AsyncReady => "async-ready",
            Self::AsyncYield => "async-yield",
            Self::Disabled => "disabled",
            Self::Stopped => "stopped",
            Self::StoppedLabels => "stopped-labels",
            Self::Layer => "layer",
        }
    }

    /// What it is called in the tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Red => "RED only: 2 labels and the kind of error",
            Self::Sampled => "Span, sampled, below another, and RED",
            Self::Root => "Span, sampled, a trace of its own, and RED",
            Self::Unsampled => "Span, not sampled, and RED",
            Self::NoFields => "Span, sampled, without fields",
            Self::Numbers => "Span, sampled, with 4 `u64` fields",
            Self::Texts => "Span, sampled, with 4 short `&str` fields",
            Self::Line => "JSON line: 3 fields, 2 of the context, ids",
            Self::AsyncReady => "`async`, ready at once: span, sampled, and RED",
            Self::AsyncYield => "`async`, waits once: span, sampled, and RED",
            Self::Disabled => "Span below the level that is on",
            Self::Stopped => "Nothing started",
            Self::StoppedLabels => "Nothing started, 2 labels and the kind of error",
            Self::Layer => "Span, sampled, in a `Registry` with a layer",
        }
    }

    /// Whether something leaves the calling thread that another has to take away. Such calls are made in
    /// small groups with pauses, as a service makes them, or buffers would overflow and what is measured
    /// would be the cost of dropping things.
    pub(crate) fn hands_over(self) -> bool {
        !matches!(self, Self::Red | Self::Disabled | Self::Stopped | Self::StoppedLabels)
    }
}

/// One stack doing one work, alone in a process: stacks have global subscribers and registries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) work: Work,
    pub(crate) stack: &'static str,
    pub(crate) start: fn() -> Running,
    /// Whether it is somebody else's and does all of the work.
    pub(crate) peer: bool,
}

impl Case {
    /// A peer that does all of the work.
    pub(crate) const fn new(work: Work, stack: &'static str, start: fn() -> Running) -> Self {
        Self { work, stack, start, peer: true }
    }

    /// What else is shown beside: floors, this project, and who does only a part of the work.
    pub(crate) const fn beside(work: Work, stack: &'static str, start: fn() -> Running) -> Self {
        Self { work, stack, start, peer: false }
    }
}

/// A stack that is set up.
pub(crate) struct Running {
    /// Makes so many calls on the thread it is called on.
    pub(crate) calls: Box<dyn Fn(u64) + Send + Sync>,
    /// How many spans or lines of these calls have come out at the far end, if they go anywhere.
    pub(crate) arrived: Option<Box<dyn Fn() -> u64 + Send + Sync>>,
}

impl Running {
    pub(crate) fn new(calls: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { calls: Box::new(calls), arrived: None }
    }

    pub(crate) fn arriving(mut self, arrived: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.arrived = Some(Box::new(arrived));
        self
    }
}
