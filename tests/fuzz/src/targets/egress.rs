//! The guard of outgoing requests: the address that is dialled is one that may be.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::OnceLock,
};

use gatepost::egress::{
    guard::{self, Reach},
    resolver,
    target::Target as Checked,
};
use ipnet::IpNet;
use url::Url;

use super::{Target, Verdict, input::Input};

pub const TARGET: Target = Target {
    name: "egress",
    run: |bytes| compare(&may_dial, bytes),
    seeds,
};

pub(crate) type Reference<'r> = &'r dyn Fn(IpAddr, Reach) -> bool;

pub(crate) fn compare(reference: Reference<'_>, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let reach = *input.pick(&[Reach::Public, Reach::Private]);
    let v6 = Ipv6Addr::from(input.array::<16>());
    let v4 = Ipv4Addr::from(input.array::<4>());
    // The IPv6 forms of an IPv4 address that have been used to slip through.
    let [a, b, c, d] = v4.octets().map(u16::from);
    let (high, low) = ((a << 8) | b, (c << 8) | d);
    let forms = [
        IpAddr::V4(v4),
        IpAddr::V6(v6),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low).into(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into(),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into(),
        Ipv6Addr::new(0x2600, 1, 0, 0, 0, 0x5efe, high, low).into(),
    ];
    for address in forms {
        let found = guard::check(address, reach).is_ok();
        let expected = reference(address, reach);
        ensure!(
            found == expected,
            "{address} for {reach:?} is {found}, expected {expected}"
        );
    }
    // As if a name led to these.
    let answers: Vec<_> = forms.iter().map(|it| SocketAddr::new(*it, 0)).collect();
    let dialled = resolver::filter(answers, reach).unwrap_or_default();
    let may_be: Vec<_> = forms
        .iter()
        .filter(|it| reference(**it, reach))
        .map(IpAddr::to_canonical)
        .collect();
    let dialled: Vec<_> = dialled.iter().map(SocketAddr::ip).collect();
    ensure!(
        dialled == may_be,
        "a name leads to {dialled:?}, expected {may_be:?}"
    );

    let Ok(text) = std::str::from_utf8(input.rest()) else {
        return Ok(());
    };
    let Ok(url) = Url::parse(text) else {
        return Ok(());
    };
    let found = Checked::new(&url, reach);
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_plain = url.username().is_empty() && url.password().is_none() && url.port() != Some(0);
    let host = dialled_host(&url);
    let expected = is_web && is_plain && host.as_ref().is_some_and(|it| is_open(it, reach, reference));
    ensure!(
        found.is_ok() == expected,
        "`{text}` ({host:?}) for {reach:?} gives {found:?}, expected {expected}"
    );
    Ok(())
}

/// The host as the client below reads it: by another parser than the guard's.
fn dialled_host(url: &Url) -> Option<String> {
    let mut url = url.clone();
    url.set_fragment(None);
    let uri: http::Uri = url.as_str().parse().ok()?;
    Some(uri.host()?.to_owned())
}

/// The client dials what it can read as an address without asking the resolver, which is guarded.
fn is_open(host: &str, reach: Reach, reference: Reference<'_>) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => reference(address, reach),
        Err(_) => true,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    Private,
    Closed,
}

/// Networks by name; the smallest that holds an address counts.
const NETWORKS: &[(Kind, &[&str])] = &[
    (Kind::Public, &["0.0.0.0/0", "2000::/3"]),
    (
        Kind::Private,
        &[
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "198.18.0.0/15",
            "::1/128",
            "fc00::/7",
        ],
    ),
    (
        Kind::Closed,
        &[
            "0.0.0.0/8",
            "169.254.0.0/16",
            "100.100.100.200/32",
            "168.63.129.16/32",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "192.88.99.0/24",
            "224.0.0.0/3",
            "::/0",
            "fd00:ec2::/32",
            "fd20:ce::254/128",
            "fd00:c1::a9fe:a9fe/128",
            "fd00:42::42/128",
            "2001::/23",
            "2001:db8::/32",
            "3fff::/20",
            "2002::/16",
        ],
    ),
];

fn kind(address: IpAddr) -> Kind {
    static TABLE: OnceLock<Vec<(IpNet, Kind)>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table = Vec::new();
        for (kind, names) in NETWORKS {
            table.extend(
                names
                    .iter()
                    .map(|it| (it.parse::<IpNet>().expect("it is a network"), *kind)),
            );
        }
        // The smallest first.
        table.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        table
    });
    let found = table.iter().find(|(network, _)| network.contains(&address));
    found.map_or(Kind::Closed, |(_, kind)| *kind)
}

pub(crate) fn may_dial(address: IpAddr, reach: Reach) -> bool {
    let kind = match address {
        IpAddr::V4(_) => kind(address),
        IpAddr::V6(it) => match (it.to_ipv4_mapped(), tunnelled(it)) {
            (Some(inner), _) => kind(inner.into()),
            // No tunnel leads where one may not go by the street.
            (None, Some(inner)) if kind(inner.into()) != Kind::Public => Kind::Closed,
            (None, Some(_)) if it.segments()[0] == 0x64 => Kind::Public,
            _ => kind(address),
        },
    };
    kind == Kind::Public || (kind == Kind::Private && reach == Reach::Private)
}

/// The IPv4 address at the other end of NAT64 or ISATAP.
fn tunnelled(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let text = format!("{:032x}", address.to_bits());
    let inner = u32::from_str_radix(&text[24..], 16).ok()?;
    let is_nat64 = text.starts_with("0064ff9b0000000000000000");
    let is_isatap = ["00005efe", "02005efe"].contains(&&text[16..24]) && ["2", "3"].contains(&&text[..1]);
    (is_nat64 || is_isatap).then(|| inner.into())
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let hostile = include_str!("../../../it/hostile_urls.txt");
    let urls = hostile
        .lines()
        .filter(|it| !it.is_empty() && !it.starts_with("# "));
    let more = [
        "https://example.com/hooks?x=1#f",
        "http://93.184.216.34:8080/",
        "https://[2606:4700::1111]/",
        "http://user:pass@example.com/",
        "http://example.com:0/",
        "ftp://example.com/",
        "http://a_b.example/%00\\|",
    ];
    let addresses = [
        ("::1", "127.0.0.1"),
        ("fd00:ec2::254", "169.254.169.254"),
        ("2606:4700::1111", "8.8.8.8"),
        ("2001:db8::1", "100.64.0.1"),
        ("64:ff9b::a00:1", "10.0.0.1"),
    ];
    let seed = |(idx, url): (usize, &str)| {
        let (v6, v4) = addresses[idx % addresses.len()];
        let (v6, v4): (Ipv6Addr, Ipv4Addr) = (v6.parse().expect("IPv6"), v4.parse().expect("IPv4"));
        [&[(idx % 2) as u8][..], &v6.octets(), &v4.octets(), url.as_bytes()].concat()
    };
    urls.chain(more).enumerate().map(seed).collect()
}
