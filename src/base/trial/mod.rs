//! Where a trial build can be made to die or to be wrong.
//!
//! The campaign (`tests/campaign`) kills gatepost at named moments, and proves that it would see a defect by building one in.
//! Both need a place in the code. Without the cargo feature `trial`, which no release has, every function here is empty and
//! is compiled away.

#[cfg(feature = "trial")]
pub mod armed;

/// A moment at which a process may die. The numbers are those of the campaign's kill points, K1 to K20.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// K1: a connection was accepted.
    Accepted = 1,
    /// K2: the head of a request was read.
    HeadRead = 2,
    /// K3: the body was read in part.
    BodyHalfRead = 3,
    /// K4: the signature was right.
    Verified = 4,
    /// K5: a batch was gathered, and nothing of it was sent to the store.
    BatchGathered = 5,
    /// K6: the batch's rows were sent to the store.
    RowsSent = 6,
    /// K7: the commit was asked for.
    CommitSent = 7,
    /// K8: the commit was confirmed, and nobody was told.
    Committed = 8,
    /// K9: the answer was on its way to the sender.
    AnswerSent = 9,
    /// K10: a delivery was in hand, and nothing of it was sent.
    InHand = 10,
    /// K11: the request to the handler was on its way.
    RequestSent = 11,
    /// K12: the handler had answered.
    HandlerAnswered = 12,
    /// K13: the result of an attempt was being written.
    SettleSent = 13,
    /// K14: the result was written.
    Settled = 14,
    /// K15: a retry was scheduled.
    RetryScheduled = 15,
    /// K16: the schema was being brought up to date.
    Migrating = 16,
    /// K17: retention was removing rows.
    Pruning = 17,
    /// K18: the config was being swapped.
    Reloading = 18,
    /// K20: the process was stopping in order. (K19 is reconciliation, which does not exist yet.)
    Stopping = 20,
}

/// A deliberate defect. A campaign or test that claims to cover one must fail on a build that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// 200 before the commit.
    AcknowledgeBeforeCommit,
    /// 200 when the commit did not come in time.
    TimeoutIsAcknowledged,
    /// A request without a signature counts as verified.
    UnsignedIsVerified,
    /// The body is trimmed before it is stored.
    BodyIsTrimmed,
    /// An id counts as seen before its signature was checked.
    SeenBeforeVerified,
    /// The id is looked up, then inserted without a unique key.
    CheckThenInsert,
    /// Two sources share one space of ids.
    KeyWithoutSource,
    /// One poison row fails its whole batch.
    PoisonFailsBatch,
    /// A fault of our own is answered 400.
    OwnFaultIs400,
    /// SQLite's commits do not wait for the disk.
    SynchronousNormal,
    /// A late worker's result counts although another holds the claim.
    SettleWithoutFence,
    /// What a dead worker held is never freed.
    LeasesNeverEnd,
    /// A delivery is recorded as delivered before the handler answered.
    SettledBeforeSent,
    /// A handler's 5xx counts as delivered.
    ServerErrorIsDelivered,
    /// A retry carries an empty body.
    RetryIsEmpty,
    /// A stop aborts attempts in flight instead of letting them end.
    StopAbortsAttempts,
    /// Duplicates are left out of the ledger.
    DuplicatesUncounted,
}

impl Flaw {
    pub const ALL: [Self; 17] = [
        Self::AcknowledgeBeforeCommit,
        Self::TimeoutIsAcknowledged,
        Self::UnsignedIsVerified,
        Self::BodyIsTrimmed,
        Self::SeenBeforeVerified,
        Self::CheckThenInsert,
        Self::KeyWithoutSource,
        Self::PoisonFailsBatch,
        Self::OwnFaultIs400,
        Self::SynchronousNormal,
        Self::SettleWithoutFence,
        Self::LeasesNeverEnd,
        Self::SettledBeforeSent,
        Self::ServerErrorIsDelivered,
        Self::RetryIsEmpty,
        Self::StopAbortsAttempts,
        Self::DuplicatesUncounted,
    ];

    /// How the campaign calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeCommit => "acknowledge-before-commit",
            Self::TimeoutIsAcknowledged => "timeout-is-acknowledged",
            Self::UnsignedIsVerified => "unsigned-is-verified",
            Self::BodyIsTrimmed => "body-is-trimmed",
            Self::SeenBeforeVerified => "seen-before-verified",
            Self::CheckThenInsert => "check-then-insert",
            Self::KeyWithoutSource => "key-without-source",
            Self::PoisonFailsBatch => "poison-fails-batch",
            Self::OwnFaultIs400 => "own-fault-is-400",
            Self::SynchronousNormal => "synchronous-normal",
            Self::SettleWithoutFence => "settle-without-fence",
            Self::LeasesNeverEnd => "leases-never-end",
            Self::SettledBeforeSent => "settled-before-sent",
            Self::ServerErrorIsDelivered => "server-error-is-delivered",
            Self::RetryIsEmpty => "retry-is-empty",
            Self::StopAbortsAttempts => "stop-aborts-attempts",
            Self::DuplicatesUncounted => "duplicates-uncounted",
        }
    }
}

/// Dies here if the campaign asked for it.
#[inline]
pub fn point(point: Point) {
    #[cfg(feature = "trial")]
    armed::point(point);
    #[cfg(not(feature = "trial"))]
    let _ = point;
}

/// Dies while the future is under way, if the campaign asked for it.
#[inline]
pub fn during<F: Future>(point: Point, future: F) -> impl Future<Output = F::Output> {
    #[cfg(feature = "trial")]
    let future = armed::during(point, future);
    #[cfg(not(feature = "trial"))]
    let _ = point;
    future
}

/// Dies a moment from now, while others go on, if the campaign asked for it.
#[inline]
pub fn shortly_after(point: Point) {
    #[cfg(feature = "trial")]
    armed::shortly_after(point);
    #[cfg(not(feature = "trial"))]
    let _ = point;
}

/// Whether this build was told to be wrong in this way.
#[inline]
pub fn has(flaw: Flaw) -> bool {
    #[cfg(feature = "trial")]
    return armed::has(flaw);
    #[cfg(not(feature = "trial"))]
    {
        let _ = flaw;
        false
    }
}
