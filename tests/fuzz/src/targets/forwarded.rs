//! The client's address behind proxies: `X-Forwarded-For`.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::OnceLock,
};

use gatepost::web::client;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::{
    Target, Verdict,
    input::{Input, joined},
};

pub const TARGET: Target = Target {
    name: "forwarded",
    run: |bytes| compare(address, bytes),
    seeds,
};

const PEERS: &[&str] = &[
    "127.0.0.1:1",
    "[::ffff:10.0.0.1]:1",
    "203.0.113.9:1",
    "[fd00::1]:1",
    "[2001:db8::1]:1",
];

pub(crate) type Reference = fn(IpAddr, &str, &dyn Fn(IpAddr) -> bool) -> IpAddr;

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static TRUSTED: OnceLock<Vec<IpNet>> = OnceLock::new();
    let trusted = TRUSTED.get_or_init(|| {
        let networks = ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"];
        networks.map(|it| it.parse().expect("it is a network")).to_vec()
    });
    let mut input = Input::new(bytes);
    let peer: SocketAddr = input.pick(PEERS).parse().expect("it is an address");
    let mut headers = HeaderMap::new();
    let mut lines = Vec::new();
    for line in input.rest().split(|it| *it == b'\n').take(8) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static("x-forwarded-for"), value);
            lines.push(line);
        }
    }
    let found = client::address(peer, &headers, trusted);
    let list = lines.join(&b","[..]);
    // What is no text is no address.
    let list = String::from_utf8_lossy(&list);
    let expected = reference(peer.ip(), &list, &|it| {
        trusted.iter().any(|net| net.contains(&it))
    });
    ensure!(
        found == expected,
        "{peer} with `{list}` is {found}, expected {expected}"
    );
    Ok(())
}

/// Every hop but the first untrusted one from the right must be a proxy that we trust.
fn address(peer: IpAddr, list: &str, is_trusted: &dyn Fn(IpAddr) -> bool) -> IpAddr {
    let mut chain: Vec<Option<IpAddr>> = list.split(',').map(hop).collect();
    chain.push(Some(peer.to_canonical()));
    let mut client = peer.to_canonical();
    while let Some(Some(hop)) = chain.pop() {
        client = hop;
        if !is_trusted(hop) {
            break;
        }
    }
    client
}

fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.parse().ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|it| it.ip());
    let ip = bare.or_else(with_port).or_else(bracketed)?;
    Some(ip.to_canonical())
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        "1.2.3.4",
        "6.6.6.6, 1.2.3.4, 10.1.1.1",
        "6.6.6.6\n1.2.3.4\n10.1.1.1",
        "6.6.6.6, nonsense, 10.1.1.1",
        "1.2.3.4:5678, 127.0.0.1",
        "[2001:db8::1]:443, [fd00::2]",
        "::ffff:10.2.2.2, ::ffff:127.0.0.1",
        ", ,",
        "[1.2.3.4]",
        "fe80::1%eth0",
    ]
    .into_iter()
    .enumerate()
    .map(|(idx, it)| joined(&[(idx % 2) as u8], &[it.as_bytes()]))
    .collect()
}
