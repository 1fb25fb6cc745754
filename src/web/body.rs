//! Reading a body: whole or not at all, within bytes and time.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::base::trial::{self, Point};

/// Bytes per second that a sender must keep up after the grace.
const MIN_RATE: u64 = 1024;
/// What is admitted at first for a body of unknown length.
const FIRST_STEP: u64 = 64 * 1024;

/// How much, and how slowly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The most bytes.
    pub(crate) limit: u64,
    /// For the whole of it. A sixth of it is the grace before a sender must keep up the least rate.
    pub(crate) timeout: Duration,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFault {
    TooLarge,
    TooSlow,
    /// The budget for bodies in flight is used up.
    NoRoom,
    /// The client went away or broke the framing.
    Broken,
}

/// A body, with what it takes of the budget for bytes in flight.
#[derive(Debug)]
pub(crate) struct Whole<R> {
    pub(crate) bytes: Bytes,
    pub(crate) room: R,
}

/// A part of a budget. `()` is part of none.
pub(crate) trait Room {
    fn grow(&mut self, by: Self);
}

impl Room for OwnedSemaphorePermit {
    fn grow(&mut self, by: Self) {
        self.merge(by);
    }
}

impl Room for () {
    fn grow(&mut self, (): Self) {}
}

/// Reads `body` to its end. `content_length` is what the head declared, if it did; `admit` takes so many bytes from the
/// budget. The bytes are copied at most once: a body that came in one piece is handed on as it is.
pub(crate) async fn read<B, R>(
    body: B,
    content_length: Option<u64>,
    bounds: Bounds,
    admit: impl Fn(u64) -> Option<R>,
) -> Result<Whole<R>, BodyFault>
where
    B: Body<Data = Bytes>,
    R: Room,
{
    if content_length.is_some_and(|it| it > bounds.limit) {
        return Err(BodyFault::TooLarge);
    }
    let mut body = pin!(body);
    let mut n_admitted = match content_length {
        Some(it) => it,
        None if body.is_end_stream() => 0,
        None => FIRST_STEP.min(bounds.limit),
    };
    let mut room = admit(n_admitted).ok_or(BodyFault::NoRoom)?;
    let mut pace = Pace::new(bounds.timeout);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = next_frame(body.as_mut(), &mut pace).await? {
        // Trailers say nothing that anyone signs.
        let Ok(data) = frame.into_data() else { continue };
        trial::point(Point::BodyHalfRead);
        pace.n_bytes += data.len() as u64;
        if pace.n_bytes > bounds.limit {
            return Err(BodyFault::TooLarge);
        }
        if pace.n_bytes > n_admitted {
            let wanted = (n_admitted * 2).max(pace.n_bytes).min(bounds.limit);
            room.grow(admit(wanted - n_admitted).ok_or(BodyFault::NoRoom)?);
            n_admitted = wanted;
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            let n_expected = content_length.unwrap_or(pace.n_bytes * 2);
            rest.reserve(usize::try_from(n_expected.min(bounds.limit)).unwrap_or(0));
            rest.extend_from_slice(&first);
            first = Bytes::new();
        }
        rest.extend_from_slice(&data);
    }
    Ok(Whole {
        bytes: if rest.is_empty() { first } else { rest.freeze() },
        room,
    })
}

/// When the sender must have sent the next byte.
struct Pace {
    /// Set at the first wait: a body that came with its head costs no look at the clock.
    started_at: Option<Instant>,
    timeout: Duration,
    n_bytes: u64,
}

impl Pace {
    const fn new(timeout: Duration) -> Self {
        Self {
            started_at: None,
            timeout,
            n_bytes: 0,
        }
    }

    fn deadline(&mut self) -> Instant {
        let started_at = *self.started_at.get_or_insert_with(Instant::now);
        let earned = Duration::from_millis(self.n_bytes.saturating_mul(1000) / MIN_RATE);
        started_at + self.timeout.min(self.timeout / 6 + earned)
    }
}

async fn next_frame<B>(mut body: Pin<&mut B>, pace: &mut Pace) -> Result<Option<Frame<Bytes>>, BodyFault>
where
    B: Body<Data = Bytes>,
{
    let polled = poll_fn(|cx| Poll::Ready(body.as_mut().poll_frame(cx))).await;
    let frame = match polled {
        Poll::Ready(frame) => frame,
        Poll::Pending => {
            let deadline = pace.deadline();
            tokio::time::timeout_at(deadline, poll_fn(|cx| body.as_mut().poll_frame(cx)))
                .await
                .or(Err(BodyFault::TooSlow))?
        }
    };
    frame.transpose().or(Err(BodyFault::Broken))
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use futures_util::{StreamExt, stream};
    use http_body_util::StreamBody;
    use tokio::sync::Semaphore;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        limit: 1000,
        timeout: Duration::from_secs(30),
    };

    fn frames(parts: &[&'static [u8]]) -> impl Body<Data = Bytes> + use<> {
        let frames: Vec<_> = parts
            .iter()
            .map(|it| Ok::<_, Infallible>(Frame::data(Bytes::from_static(it))))
            .collect();
        StreamBody::new(stream::iter(frames))
    }

    fn budget(n: usize) -> (Arc<Semaphore>, impl Fn(u64) -> Option<OwnedSemaphorePermit>) {
        let semaphore = Arc::new(Semaphore::new(n));
        let taken = Arc::clone(&semaphore);
        (semaphore, move |n| {
            Arc::clone(&taken)
                .try_acquire_many_owned(u32::try_from(n).unwrap())
                .ok()
        })
    }

    #[tokio::test]
    async fn one_piece_is_not_copied_and_many_are_joined() {
        let (_, admit) = budget(10_000);
        let piece: &'static [u8] = b"hello";
        let whole = read(frames(&[piece]), Some(5), BOUNDS, &admit).await.unwrap();
        assert_eq!(whole.bytes.as_ptr(), piece.as_ptr());
        let whole = read(frames(&[b"he", b"", b"llo"]), None, BOUNDS, &admit)
            .await
            .unwrap();
        assert_eq!(whole.bytes, "hello");
    }

    #[tokio::test]
    async fn d05_a_body_over_the_limit_is_refused_not_cut() {
        let (semaphore, admit) = budget(10_000);
        let exact: &'static [u8] = &[b'x'; 1000];
        assert!(read(frames(&[exact]), None, BOUNDS, &admit).await.is_ok());
        let res = read(frames(&[exact, b"x"]), None, BOUNDS, &admit).await;
        assert_eq!(res.unwrap_err(), BodyFault::TooLarge);
        let res = read(frames(&[]), Some(1001), BOUNDS, &admit).await;
        assert_eq!(res.unwrap_err(), BodyFault::TooLarge);
        assert_eq!(semaphore.available_permits(), 10_000);
    }

    #[tokio::test]
    async fn d01_bytes_are_taken_from_the_budget_before_they_are_read() {
        let (semaphore, admit) = budget(600);
        let res = read(frames(&[b"x"]), Some(601), BOUNDS, &admit).await;
        assert_eq!(res.unwrap_err(), BodyFault::NoRoom);
        let whole = read(frames(&[b"x"]), Some(600), BOUNDS, &admit).await.unwrap();
        assert_eq!(semaphore.available_permits(), 0);
        drop(whole);
        assert_eq!(semaphore.available_permits(), 600);
        let unbounded = Bounds {
            limit: 1 << 30,
            ..BOUNDS
        };
        let (semaphore, admit) = budget(100_000);
        let piece: &'static [u8] = &[0; 16_000];
        let whole = read(frames(&[piece; 5]), None, unbounded, &admit)
            .await
            .unwrap_err();
        assert_eq!(
            whole,
            BodyFault::NoRoom,
            "the second step of 128 KiB does not fit"
        );
        assert_eq!(semaphore.available_permits(), 100_000);
    }

    #[tokio::test]
    async fn d03_a_trickle_is_cut_after_the_grace() {
        let (_, admit) = budget(10_000);
        let bounds = Bounds {
            timeout: Duration::from_secs(3),
            ..BOUNDS
        };
        let one_byte = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))]);
        let started_at = Instant::now();
        let res = read(
            StreamBody::new(one_byte.chain(stream::pending())),
            None,
            bounds,
            &admit,
        )
        .await;
        assert_eq!(res.unwrap_err(), BodyFault::TooSlow);
        assert!(
            started_at.elapsed() < Duration::from_millis(2500),
            "cut before the total deadline"
        );
    }

    #[test]
    fn d03_who_keeps_the_rate_has_until_the_total_deadline() {
        let mut pace = Pace::new(Duration::from_secs(30));
        let started_at = pace.deadline() - Duration::from_secs(5);
        let mut check = |n_bytes, seconds| {
            pace.n_bytes = n_bytes;
            assert_eq!(
                pace.deadline(),
                started_at + Duration::from_secs(seconds),
                "{n_bytes}"
            );
        };
        check(0, 5);
        check(10 * MIN_RATE, 15);
        check(25 * MIN_RATE, 30);
        check(u64::MAX, 30);
    }
}
