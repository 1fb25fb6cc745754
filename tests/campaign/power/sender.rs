//! A sender: one connection, one event at a time, which it never gives up.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Mutex,
    time::Duration,
};

use gatepost::base::clock::wall_now;
use hmac::{Hmac, KeyInit, Mac};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sha2::Sha256;

use crate::book::Book;

pub(crate) const SECRET: &str = "whsec_of_the_power_campaign_0001";
const OTHER_SECRET: &str = "whsec_somebody_elses_secret_0002";

#[derive(Debug)]
pub(crate) struct Sender {
    number: usize,
    n_events: usize,
    random: StdRng,
    /// No 200 came for it yet: it goes out again, as a provider's retry does.
    pending: Option<(String, Vec<u8>)>,
    pub(crate) is_heavy: bool,
}

impl Sender {
    pub(crate) fn new(seed: u64, number: usize) -> Self {
        Self {
            number,
            n_events: 0,
            random: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
            pending: None,
            is_heavy: false,
        }
    }

    /// Sends until nobody listens any more.
    pub(crate) fn run(&mut self, address: SocketAddr, book: &Mutex<Book>) {
        while let Ok(mut stream) = connect(address) {
            while self.send(&mut stream, book).is_ok() {}
        }
    }

    /// Sends until the first 200; `false` if nobody listens any more.
    pub(crate) fn first(&mut self, address: SocketAddr, book: &Mutex<Book>) -> bool {
        while let Ok(mut stream) = connect(address) {
            while let Ok(status) = self.send(&mut stream, book) {
                if status == 200 {
                    return true;
                }
            }
        }
        false
    }

    fn send(&mut self, stream: &mut BufReader<TcpStream>, book: &Mutex<Book>) -> io::Result<u16> {
        let is_forged = self.random.random_ratio(1, 20);
        let (id, body) = match self.pending.take() {
            Some(pending) if !is_forged => pending,
            pending => {
                let kind = if is_forged { "forged" } else { "evt" };
                self.n_events += 1;
                let id = format!("{kind}_{}_{}", self.number, self.n_events);
                let body = self.body(&id);
                if is_forged {
                    self.pending = pending;
                } else {
                    // Before its first byte goes out: from then on it may be in the store.
                    book.lock().unwrap().sent.insert(id.clone(), body.clone());
                }
                (id, body)
            }
        };
        let answer = post(stream, if is_forged { OTHER_SECRET } else { SECRET }, &body);
        let mut book = book.lock().unwrap();
        match &answer {
            Ok(status) => book.note(&id, is_forged, *status),
            Err(_) => book.n_broken += 1,
        }
        if !is_forged && !matches!(answer, Ok(200)) {
            self.pending = Some((id, body));
        }
        answer
    }

    /// Not JSON to its end, so that every byte may occur.
    fn body(&mut self, id: &str) -> Vec<u8> {
        let n_bytes = if self.is_heavy {
            self.random.random_range(20_000..100_000)
        } else {
            self.random.random_range(0..3000)
        };
        let mut body = format!(r#"{{"id":"{id}","type":"power","created":1700000000}} "#).into_bytes();
        let start = body.len();
        body.resize(start + n_bytes, 0);
        self.random.fill(&mut body[start..]);
        body
    }
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(BufReader::new(stream))
}

/// As Stripe signs. The status of the answer counts as soon as it is read.
fn post(stream: &mut BufReader<TcpStream>, secret: &str, body: &[u8]) -> io::Result<u16> {
    let now = wall_now().as_unix_seconds();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{now}.").as_bytes());
    mac.update(body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let mut request = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nhost: gatepost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nstripe-signature: t={now},v1={signature}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    stream.get_mut().write_all(&request)?;
    answer(stream).map(|(status, _)| status)
}

/// An answer in which only the body is missing counts as one: its status was read.
pub(crate) fn answer(stream: &mut impl BufRead) -> io::Result<(u16, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
    let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut n_bytes = 0;
    loop {
        line.clear();
        if stream.read_line(&mut line).unwrap_or(0) < 3 {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            n_bytes = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    let _ = stream.take(n_bytes).read_to_end(&mut body);
    Ok((status, body))
}
