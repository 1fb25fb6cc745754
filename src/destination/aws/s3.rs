//! An archive in a bucket of S3, or of what speaks like it: JSON lines, a folder for each day.
//!
//! S3 answers once the object is stored; its hash goes along, so that what is stored is what was sent. An object is never added to:
//! its name is made of all that is in it, so that the same lines, sent again, take the place of themselves, and no others.

use std::{sync::Arc, time::Duration};

use ::http::{HeaderMap, HeaderValue, Method, header};
use futures_util::FutureExt as _;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::{
    base::safe_url::SafeUrl,
    destination::{
        Destination, Fate, Fault, Message, Response, SendError, Sending, Settings,
        aws::{
            Aws,
            batch::{Batches, Line, Lines, Put},
            line, taken,
        },
        broker::S3 as Own,
        check::Parts,
        http,
    },
    egress::{guard::Reach, target::Target},
};

const TITLE: &str = "S3";

/// Ready to put.
#[derive(Debug)]
pub struct S3 {
    batches: Batches,
    timeout: Duration,
}

impl S3 {
    pub fn new(own: &Own, settings: &Settings, parts: Parts) -> Result<Self, Fault> {
        if own.gather >= settings.timeout {
            let problem = "it is not shorter than `timeout`: no event would be in the archive in time";
            return Err(Fault::new(
                "s3.gather",
                problem,
                "shorten it, or give `timeout` more",
            ));
        }
        if !settings.headers.is_empty() {
            let problem = "an archive keeps the headers that an event came with, and no others";
            return Err(Fault::new("headers", problem, "remove it"));
        }
        http::target(&own.base, "s3.endpoint", Reach::Private)?;
        let aws = Aws::new("s3", "s3", TITLE, &own.account, settings, parts.trust)?;
        let bucket = Arc::new(Bucket {
            aws,
            base: own.base.clone(),
            prefix: own.prefix.clone(),
        });
        let put: Put = Arc::new(move |lines| {
            let bucket = Arc::clone(&bucket);
            async move { bucket.put(lines).await }.boxed()
        });
        let max_lines = usize::try_from(settings.concurrency).unwrap_or(usize::MAX);
        Ok(Self {
            batches: Batches::new(put, own.gather, max_lines),
            timeout: settings.timeout,
        })
    }

    async fn archive(&self, message: &Message) -> Result<Response, SendError> {
        let received_at = OffsetDateTime::from(message.event.received_at);
        let (hour, minute, second) = received_at.to_hms();
        let putting = self.batches.add(Line {
            day: received_at.date().to_string(),
            time: format!("{hour:02}{minute:02}{second:02}"),
            id: message.delivery_id,
            text: line::of(&message.event),
        });
        let Ok(result) = tokio::time::timeout(self.timeout, putting).await else {
            let explanation = format!("the object that it is in was not put within {:?}", self.timeout);
            return Err(SendError::new("timeout", explanation, Fate::Ambiguous));
        };
        result.map(|it| taken(&it))
    }
}

#[derive(Debug)]
struct Bucket {
    aws: Aws,
    base: SafeUrl,
    prefix: String,
}

impl Bucket {
    /// The key that it has then.
    async fn put(&self, lines: Lines) -> Result<Arc<str>, SendError> {
        let key = format!("{}{}", self.prefix, name(&lines));
        let target = self.target(&key)?;
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-ndjson"),
        );
        self.aws
            .call(Method::PUT, &target, headers, lines.text.into())
            .await?;
        Ok(key.into())
    }

    fn target(&self, key: &str) -> Result<Target, SendError> {
        let unfit = |problem: String| SendError::new("bad_url", problem, Fate::Retriable);
        let url = self.base.expose().join(&encoded(key));
        let url = url.map_err(|e| unfit(format!("the key of the object is no part of a URL: {e}")))?;
        Target::new(&url, Reach::Private).map_err(|it| unfit(it.explanation))
    }
}

/// `2026-11-27/031502-0a1b2c3d4e5f6071.jsonl`: the day and the time at which the first of them was received, and a hash of which
/// deliveries are in it.
fn name(lines: &Lines) -> String {
    let mut hash = Sha256::new();
    for id in &lines.ids {
        hash.update(id.uuid().as_bytes());
    }
    let hash = hex::encode(&hash.finalize()[..8]);
    format!("{}/{}-{hash}.jsonl", lines.day, lines.time)
}

/// As S3 writes a key when it checks a signature: everything but the unreserved characters and the slash is escaped.
fn encoded(key: &str) -> String {
    let mut res = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                res.push(char::from(byte));
            }
            _ => res.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
    res
}

fn digit(nibble: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(nibble)])
}

impl Destination for S3 {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.archive(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::DeliveryId;

    #[test]
    fn an_object_is_named_after_all_that_is_in_it() {
        let id = |text: &str| text.parse::<DeliveryId>().unwrap();
        let (first, second) = (
            id("dlv_01jdq8z3e9f7v8k2m4n6p8r0st"),
            id("dlv_01jdq8z3e9f7v8k2m4n6p8r0sv"),
        );
        let named = |ids: &[DeliveryId]| {
            name(&Lines {
                day: "2026-11-27".to_owned(),
                time: "031502".to_owned(),
                ids: ids.to_vec(),
                text: Vec::new(),
            })
        };
        let both = named(&[first, second]);
        let hash = both.strip_prefix("2026-11-27/031502-").unwrap();
        assert_eq!(hash.len(), "0a1b2c3d4e5f6071.jsonl".len(), "{both}");
        assert_eq!(both, named(&[first, second]));
        // Else a line that is sent again alone would take the place of both.
        assert_ne!(both, named(&[first]));
    }

    #[test]
    fn a_key_is_written_as_s3_writes_it() {
        assert_eq!(
            encoded("a/source=stripe/é+ ~.jsonl"),
            "a/source%3Dstripe/%C3%A9%2B%20~.jsonl"
        );
    }
}
