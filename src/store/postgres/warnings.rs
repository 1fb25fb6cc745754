//! Warnings that the server sends beside an answer.
//!
//! A commit that waits for a standby and is cancelled answers as if all were well: the row is here, but not there, and only
//! a warning says so. sqlx gives warnings to the log alone, so they are seen on their way there. Their text is in the
//! server's language, so none is told from another.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    sync::LazyLock,
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber, dispatcher, level_filters::LevelFilter, span,
    subscriber::Interest,
};

const TARGET: &str = "sqlx::postgres::notice";

/// One for all, because a new one makes every log line of the process ask anew whether it is wanted.
static EAR: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Ear));

thread_local! {
    static IS_WARNED: Cell<bool> = const { Cell::new(false) };
    /// The log that would have been written to, and still is.
    static LOG: RefCell<Dispatch> = RefCell::new(Dispatch::none());
}

/// Runs work on one connection, and says whether the server warned of anything meanwhile.
pub(super) async fn listen<T>(work: impl Future<Output = T>) -> (T, bool) {
    let mut work = pin!(work);
    let mut is_warned = false;
    // Polls of other work on this thread lie before and after each of these, never within.
    let output = poll_fn(|context| {
        LOG.set(dispatcher::get_default(Clone::clone));
        let guard = dispatcher::set_default(&EAR);
        let polled = work.as_mut().poll(context);
        drop(guard);
        LOG.set(Dispatch::none());
        is_warned |= IS_WARNED.take();
        polled
    })
    .await;
    (output, is_warned)
}

/// Hears warnings, and passes on to the log what it wants.
struct Ear;

fn is_warning(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET && *metadata.level() <= Level::WARN
}

impl Subscriber for Ear {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Of all else, only what the log wants is passed to it.
        if is_warning(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !metadata.is_span() && (is_warning(metadata) || LOG.with_borrow(|it| it.enabled(metadata)))
    }

    fn event(&self, event: &Event<'_>) {
        if is_warning(event.metadata()) {
            IS_WARNED.set(true);
        }
        LOG.with_borrow(|log| {
            if log.enabled(event.metadata()) {
                log.event(event);
            }
        });
    }

    // Work on a connection has no spans.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
