//! Who is calling.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// The client's address: the peer's, or where the peer is a trusted proxy the right-most hop of `X-Forwarded-For` that
/// is not one. Everything left of that hop is the client's own claim.
pub fn address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.ip().to_canonical();
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip));
    if !is_trusted(client) {
        return client;
    }
    // Several header lines are one list, first line first.
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let hops = lines
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|c| *c == b','));
    for hop in hops {
        // What is not an address ends the chain: nobody we trust wrote it.
        let Some(ip) = std::str::from_utf8(hop).ok().and_then(parse) else {
            break;
        };
        client = ip;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// An address, with or without a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let ip = hop
        .parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|it| it.ip()))
        .or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d13_a_spoofed_hop_is_not_believed() {
        let check = |peer: &str, lines: &[&str], expected: &str| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let trusted = ["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
            let client = address(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(client.to_string(), expected, "{peer} {lines:?}");
        };
        check("203.0.113.9:1", &["1.2.3.4"], "203.0.113.9");
        check("127.0.0.1:1", &[], "127.0.0.1");
        check("127.0.0.1:1", &["1.2.3.4"], "1.2.3.4");
        check("[::ffff:127.0.0.1]:1", &["1.2.3.4"], "1.2.3.4");
        check("127.0.0.1:1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4");
        check("127.0.0.1:1", &["6.6.6.6, 1.2.3.4, 10.1.1.1"], "1.2.3.4");
        check("127.0.0.1:1", &["6.6.6.6", "1.2.3.4", "10.1.1.1"], "1.2.3.4");
        check("127.0.0.1:1", &["6.6.6.6, nonsense, 10.1.1.1"], "10.1.1.1");
        check("127.0.0.1:1", &["10.2.2.2, 10.1.1.1"], "10.2.2.2");
        check("127.0.0.1:1", &["1.2.3.4:5678"], "1.2.3.4");
        check("127.0.0.1:1", &["[2001:db8::1]:443"], "2001:db8::1");
        check("127.0.0.1:1", &["2001:db8::1"], "2001:db8::1");
        check("127.0.0.1:1", &[""], "127.0.0.1");
    }
}
