//! What the demo tells, step by step. Each step does the thing, waits for it with a deadline, and says what it saw.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::{
    app::Running,
    base::clock::wall_now,
    cli::{
        call::{self, Caller},
        client::{Client, Query, text},
        demo::handler::{FAILS_FOR, Seen, Seens},
        output::{self, Ended, Failure, Paint, Result, printable},
    },
    egress::client::Answer,
    event::{Hash, body_hash},
    provider::{Sample, Wanted},
    source,
};

/// Longer than any step takes on a machine that is not on its knees.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Story {
    paint: Paint,
    caller: Caller,
    admin: Client,
    public: SocketAddr,
    admin_at: SocketAddr,
    handler: SocketAddr,
    sources: Vec<source::Settings>,
    sent: Vec<Sent>,
    seen: Vec<Seen>,
}

/// An event that was posted and accepted.
#[derive(Debug)]
struct Sent {
    source: String,
    id: String,
    sample: Sample,
    body: Hash,
}

impl Story {
    pub(crate) fn new(
        paint: Paint,
        sources: Vec<source::Settings>,
        running: &Running,
        handler: SocketAddr,
    ) -> Result<Self> {
        let public = running
            .public
            .ok_or_else(|| Failure::text("the demo has no public side"))?;
        Ok(Self {
            paint,
            caller: Caller::new().map_err(Failure::new)?,
            admin: Client::at(&format!("http://{}", running.admin), None)?,
            public,
            admin_at: running.admin,
            handler,
            sources,
            sent: Vec::new(),
            seen: Vec::new(),
        })
    }

    pub(crate) async fn tell(&mut self, seens: &mut Seens) -> Result<()> {
        self.introduce()?;
        self.send_all().await?;
        self.see_deliveries(seens).await?;
        self.send_a_duplicate().await?;
        let rejected = self.send_a_forgery().await?;
        self.see_recovery(seens).await?;
        self.see_ledger().await?;
        self.say_what_is_next(&rejected)
    }

    /// After the story: one line for each further delivery.
    pub(crate) async fn watch(&self, seens: &mut Seens) -> Result {
        while let Some(seen) = seens.recv().await {
            output::data(format_args!(
                "handler got {} {} {} ({}, attempt {})",
                printable(&seen.source),
                printable(&seen.event_type),
                printable(&seen.event_id),
                printable(&seen.origin),
                seen.attempt
            ))?;
        }
        Ok(Ended::Fine)
    }

    fn introduce(&self) -> Result<()> {
        let names: Vec<_> = self.sources.iter().map(|it| it.name.as_str()).collect();
        let bold = |it: &str| self.paint.bold(it);
        output::data(bold(
            "gatepost demo: a whole gateway on a throw-away store; nothing leaves this machine",
        ))?;
        output::data(format_args!(
            "\n   senders post to   http://{}/webhooks/{{{}}}\n   dashboard, API    http://{}/\n   your handler      http://{}/hooks (a stand-in, in this process)",
            self.public,
            names.join(","),
            self.admin_at,
            self.handler
        ))
    }

    fn step(&self, number: u32, what: &str) -> Result<()> {
        output::data(format_args!(
            "\n{}",
            self.paint.bold(format_args!("{number}. {what}"))
        ))
    }

    fn why(&self, text: &str) -> Result<()> {
        output::data(self.paint.dim(format_args!("   {text}")))
    }

    async fn send_all(&mut self) -> Result<()> {
        self.step(1, "Five senders post an event, each signed its own way")?;
        for of_source in self.sources.clone() {
            let name = of_source.name.clone();
            let secret = of_source
                .secrets
                .first()
                .ok_or_else(|| Failure::text(format_args!("the demo's source `{name}` has no secret")))?;
            let sample = of_source
                .provider
                .sample(secret, &Wanted::default(), wall_now())
                .map_err(Failure::new)?;
            let started = Instant::now();
            let answer = self.post(&name, &sample, None).await?;
            let took_ms = started.elapsed().as_secs_f64() * 1_000.0;
            let reply = expect(&answer, StatusCode::OK, "accepted")?;
            let id = text(&reply, "id");
            output::data(format_args!(
                "   {} {name:<8} 200 accepted {id} in {took_ms:.1} ms",
                self.paint.green("ok")
            ))?;
            self.sent.push(Sent {
                source: name,
                id,
                body: body_hash(&sample.body),
                sample,
            });
        }
        self.why("Each 200 went out after its event was committed to disk. Senders wait seconds at most: they got their")?;
        self.why("answer without waiting for your handler.")
    }

    async fn see_deliveries(&mut self, seens: &mut Seens) -> Result<()> {
        self.step(2, "gatepost delivers them to your handler")?;
        let n_wanted = self.sent.len();
        self.wait(seens, "every event to reach the handler", |seen| {
            n_wanted <= first_attempts(seen)
        })
        .await?;
        for sent in &self.sent {
            let Some(seen) = self
                .seen
                .iter()
                .find(|it| it.event_id == sent.id && it.attempt == 1)
            else {
                continue;
            };
            if seen.body != sent.body || !seen.is_signed {
                return Err(
                    Failure::text(format_args!("event `{}` came changed or unsigned", sent.id))
                        .hint("that is a bug; please report it"),
                );
            }
            let line = format!(
                "{:<8} {}: {} bytes, as they were signed, under our own signature",
                sent.source,
                printable(&seen.event_type),
                seen.n_bytes
            );
            if seen.status.is_success() {
                output::data(format_args!("   {} {line}", self.paint.green("ok")))?;
            } else {
                let answer = format!("but your handler answered {}", seen.status.as_u16());
                output::data(format_args!("   {} {line}, {answer}", self.paint.red("no")))?;
            }
        }
        self.why("With it come webhook-id, webhook-timestamp and webhook-signature (Standard Webhooks), gatepost-source,")?;
        self.why("gatepost-event-type, gatepost-external-id and gatepost-attempt, so a handler needs no provider's SDK.")
    }

    async fn send_a_duplicate(&self) -> Result<()> {
        let first = self.sent_of("stripe")?;
        self.step(
            3,
            "Stripe sends the same event again, as senders do when an answer got lost",
        )?;
        let answer = self.post(&first.source, &first.sample, None).await?;
        let reply = expect(&answer, StatusCode::OK, "duplicate")?;
        output::data(format_args!(
            "   {} stripe   200 duplicate {}: the same event, so nothing is delivered again",
            self.paint.green("ok"),
            text(&reply, "id")
        ))
    }

    /// Answers the id under which the rejected request is kept.
    async fn send_a_forgery(&self) -> Result<String> {
        let first = self.sent_of("github")?;
        self.step(4, "Somebody changes one byte of GitHub's event and posts it")?;
        let mut body = first.sample.body.clone();
        if let Some(byte) = body.last_mut() {
            *byte ^= 1;
        }
        let answer = self.post(&first.source, &first.sample, Some(body)).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Err(unexpected(&answer));
        }
        output::data(format_args!(
            "   {} github   401: stored as no event, delivered to nobody, and the answer does not say why",
            self.paint.green("ok")
        ))?;
        let row = self.rejected().await?;
        output::data(format_args!(
            "   You can see why: {} {}",
            self.paint.cyan(text(&row, "cause")),
            printable(&text(&row, "explanation"))
        ))?;
        Ok(text(&row, "id"))
    }

    /// Rejected requests are recorded behind the answer, so it may take a moment.
    async fn rejected(&self) -> Result<Value> {
        let mut query = Query::default();
        query.push("source", Some("github"));
        let found = self.poll(&["v1", "requests"], &query, |reply| {
            reply.get("data").and_then(|it| it.get(0)).is_some()
        });
        let reply = found.await?;
        Ok(reply["data"][0].clone())
    }

    async fn see_recovery(&mut self, seens: &mut Seens) -> Result<()> {
        self.step(5, "Your handler, which failed once, is well again")?;
        self.wait(seens, "the failed delivery to be tried again", |seen| {
            let mut of_source = seen.iter().filter(|it| it.source == FAILS_FOR);
            of_source.any(|it| it.status.is_success())
        })
        .await?;
        for seen in self.seen.iter().filter(|it| it.source == FAILS_FOR) {
            let (mark, what) = if seen.status.is_success() {
                (self.paint.green("ok"), "delivered")
            } else {
                (
                    self.paint.red("no"),
                    "it stays in the store and waits for its next try",
                )
            };
            output::data(format_args!(
                "   {mark} {FAILS_FOR}  attempt {}: your handler answered {}, {what}",
                seen.attempt,
                seen.status.as_u16()
            ))?;
        }
        self.why("Here the first pause is up to a second; by default up to 10 s, doubling up to 6 h, for 12 tries or 72 h.")?;
        self.why("After the last one it is a dead letter: kept, listed, and tried again when you say so.")
    }

    async fn see_ledger(&self) -> Result<()> {
        self.step(6, "The ledger: every request and every delivery is accounted for")?;
        let n_delivered = self.sent.len() as u64;
        let ledger = self
            .poll(&["v1", "ledger"], &Query::default(), |it| {
                it["delivered"].as_u64() == Some(n_delivered) && it["rejected"].as_u64() == Some(1)
            })
            .await?;
        let n = |name: &str| ledger[name].as_u64().unwrap_or(0);
        output::data(format_args!(
            "   received   {} = {} rejected + {} duplicates + {} stored",
            n("received"),
            n("rejected"),
            n("duplicates"),
            n("stored")
        ))?;
        output::data(format_args!(
            "   deliveries {} = {} delivered + {} open + {} dead + {} cancelled + {} skipped",
            n("deliveries"),
            n("delivered"),
            n("open"),
            n("dead"),
            n("cancelled"),
            n("skipped")
        ))?;
        if ledger["balanced"].as_bool() == Some(true) {
            Ok(())
        } else {
            Err(Failure::text("the ledger does not add up").hint("that is a bug; please report it"))
        }
    }

    fn say_what_is_next(&self, rejected: &str) -> Result<()> {
        let admin = format!("http://{}", self.admin_at);
        let event = &self.sent_of("stripe")?.id;
        self.suggest("Look at it", "the dashboard", &format!("{admin}/"))?;
        self.suggest(
            "Try it, from another terminal",
            "what came in",
            &format!("curl {admin}/v1/events"),
        )?;
        self.suggest(
            "",
            "why one was refused",
            &format!("curl {admin}/v1/requests/{rejected}"),
        )?;
        self.suggest(
            "",
            "deliver one again",
            &format!("curl -X POST {admin}/v1/events/{event}/replay"),
        )?;
        self.suggest(
            "",
            "the same from here",
            &format!("gatepost events list --admin {admin}"),
        )?;
        self.suggest("For real", "how to register", "gatepost providers stripe")?;
        self.suggest(
            "",
            "a config to begin with",
            "config/gatepost.toml, then `gatepost check`",
        )?;
        self.suggest("", "run it", "gatepost serve")
    }

    /// A line to type, under a heading if it is the first of its kind.
    fn suggest(&self, heading: &str, what: &str, line: &str) -> Result<()> {
        if !heading.is_empty() {
            output::data(format_args!("\n{}", self.paint.bold(heading)))?;
        }
        output::data(format_args!("   {what:<23} {}", self.paint.cyan(line)))
    }

    fn sent_of(&self, source: &str) -> Result<&Sent> {
        let found = self.sent.iter().find(|it| it.source == source);
        found.ok_or_else(|| Failure::text(format_args!("the demo sent nothing from `{source}`")))
    }

    /// Posts a sample; with another body, it is a forgery.
    async fn post(&self, source: &str, sample: &Sample, body: Option<Vec<u8>>) -> Result<Answer> {
        let url = Url::parse(&format!("http://{}/webhooks/{source}", self.public))
            .map_err(|error| Failure::new(error).hint("this is a bug; please report it"))?;
        let headers = call::headers(&sample.headers)
            .map_err(|name| Failure::text(format_args!("the sample's header `{name}` is not HTTP")))?;
        let body = Bytes::from(body.unwrap_or_else(|| sample.body.clone()));
        let sent = self.caller.send(Method::POST, &url, headers, body).await;
        sent.map_err(Failure::new)
    }

    /// Takes in what the handler saw until that is enough.
    async fn wait(
        &mut self,
        seens: &mut Seens,
        what: &str,
        is_enough: impl Fn(&[Seen]) -> bool,
    ) -> Result<()> {
        let gathering = async {
            while !is_enough(&self.seen) {
                match seens.recv().await {
                    Some(seen) => self.seen.push(seen),
                    None => return,
                }
            }
        };
        let gathered = tokio::time::timeout(PATIENCE, gathering).await;
        gathered
            .map_err(|_bad| Failure::text(format_args!("waited {} s in vain for {what}", PATIENCE.as_secs())))
    }

    /// Asks the admin API until its answer is the one that must come.
    async fn poll(&self, path: &[&str], query: &Query, is_there: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            let reply = self.admin.get(path, query).await?;
            if is_there(&reply.value) || deadline < Instant::now() {
                return Ok(reply.value);
            }
        }
    }
}

fn first_attempts(seen: &[Seen]) -> usize {
    seen.iter().filter(|it| it.attempt == 1).count()
}

fn expect(answer: &Answer, status: StatusCode, what: &str) -> Result<Value> {
    let reply: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status == status && reply["status"] == what {
        Ok(reply)
    } else {
        Err(unexpected(answer))
    }
}

fn unexpected(answer: &Answer) -> Failure {
    let body = String::from_utf8_lossy(&answer.body);
    Failure::text(format_args!(
        "gatepost answered {}: {}",
        answer.status,
        printable(&body)
    ))
}
