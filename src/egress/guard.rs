//! Which addresses may be dialled. Pure.
//!
//! The rule is an allow-list: public unicast addresses, and private ones where the operator named the destination. What
//! is neither is never dialled, so a range that somebody invents tomorrow is closed until it is opened here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far a client may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Public addresses only: for every URL that did not come from the operator's own config file.
    Public,
    /// Loopback and private networks too (RFC 1918, unique local, shared address space).
    Private,
}

/// An address that may not be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is {what}")]
pub struct Forbidden {
    /// As it was given, before an embedded address was looked at.
    pub address: IpAddr,
    pub what: &'static str,
}

enum Kind {
    Public,
    Private(&'static str),
    /// Never, for anyone.
    Closed(&'static str),
}

const METADATA: &str = "a cloud metadata address";
const LINK_LOCAL: &str = "a link-local address, where clouds keep their metadata";
const EMBEDDED: &str = "an IPv6 form of an address that may not be dialled";

/// Whether a client with this reach may dial the address.
pub fn check(address: IpAddr, reach: Reach) -> Result<(), Forbidden> {
    // `::ffff:127.0.0.1` is dialled as 127.0.0.1, so it is judged as that.
    let kind = match address.to_canonical() {
        IpAddr::V4(it) => kind_of_v4(it),
        IpAddr::V6(it) => kind_of_v6(it),
    };
    match (kind, reach) {
        (Kind::Public, _) | (Kind::Private(_), Reach::Private) => Ok(()),
        (Kind::Private(what), Reach::Public) | (Kind::Closed(what), _) => Err(Forbidden { address, what }),
    }
}

fn kind_of_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        [0, ..] => Kind::Closed("an unspecified address"),
        [169, 254, ..] => Kind::Closed(LINK_LOCAL),
        // Alibaba Cloud; Azure.
        [100, 100, 100, 200] | [168, 63, 129, 16] => Kind::Closed(METADATA),
        // Oracle Cloud's second metadata address lies here.
        [192, 0, 0, _] => Kind::Closed("reserved for protocols"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Kind::Closed("an address for documentation"),
        [192, 88, 99, _] => Kind::Closed("a 6to4 relay"),
        [224..=239, ..] => Kind::Closed("a multicast address"),
        [255, 255, 255, 255] => Kind::Closed("the broadcast address"),
        [240..=255, ..] => Kind::Closed("a reserved address"),
        [127, ..] => Kind::Private("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Kind::Private("a private address"),
        [100, 64..=127, ..] => Kind::Private("a shared (carrier) address"),
        // Proxies on developers' machines answer every name with these.
        [198, 18..=19, ..] => Kind::Private("a benchmarking address"),
        _ => Kind::Public,
    }
}

fn kind_of_v6(address: Ipv6Addr) -> Kind {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Closed("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private("a loopback address"),
        // NAT64: the only way to the IPv4 world from some networks, and a detour to what is forbidden there. Its standard
        // (RFC 6052) excludes private addresses.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => match kind_of_v4(embedded(high, low)) {
            Kind::Public => Kind::Public,
            Kind::Private(_) | Kind::Closed(_) => Kind::Closed(EMBEDDED),
        },
        [0xfd00, 0xec2, ..] => Kind::Closed(METADATA),
        // Google Cloud; Oracle Cloud; Scaleway.
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]
        | [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]
        | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] => Kind::Closed(METADATA),
        [0xfc00..=0xfdff, ..] => Kind::Private("a unique local address"),
        [0xfe80..=0xfebf, ..] => Kind::Closed(LINK_LOCAL),
        [0xff00..=0xffff, ..] => Kind::Closed("a multicast address"),
        [0x2001, 0, ..] => Kind::Closed("a Teredo address"),
        [0x2001, 0x1..=0x1ff, ..] => Kind::Closed("reserved for protocols"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Kind::Closed("an address for documentation"),
        [0x2002, ..] => Kind::Closed("a 6to4 address"),
        // ISATAP: a tunnel to the IPv4 address in the last two segments.
        [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, high, low] => match kind_of_v4(embedded(high, low)) {
            Kind::Public => Kind::Public,
            Kind::Private(_) | Kind::Closed(_) => Kind::Closed(EMBEDDED),
        },
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Closed("a reserved address"),
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn is_open(text: &str, reach: Reach) -> bool {
        check(text.parse().unwrap(), reach).is_ok()
    }

    #[test]
    fn c01_what_is_closed_is_closed_for_everyone() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.0",
            "169.254.255.255",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.0.1",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "fe80::a9fe:a9fe",
            "fec0::1",
            "feff::1",
            "ff02::1",
            "ff00::",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "100::1",
            "100:0:0:1::1",
            "5f00::1",
            "4000::1",
            "8000::1",
            "fe00::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff::1",
        ] {
            for reach in [Reach::Public, Reach::Private] {
                assert!(!is_open(text, reach), "{text} {reach:?}");
            }
        }
    }

    #[test]
    fn c04_ipv6_forms_of_closed_addresses_are_closed() {
        for text in [
            // Mapped, compatible, translated.
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::ffff:0.0.0.0",
            "::ffff:224.0.0.1",
            "::ffff:100.100.100.200",
            "::169.254.169.254",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:0:169.254.169.254",
            "::ffff:0:8.8.8.8",
            // NAT64, also with private addresses inside, and its local form.
            "64:ff9b::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::192.168.1.1",
            "64:ff9b::0.0.0.0",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b::1:808:808",
            // 6to4, Teredo, ISATAP.
            "2002:a9fe:a9fe::",
            "2002:7f00:1::1",
            "2002:c0a8:101::1",
            "2002:808:808::1",
            "2001:0:a9fe:a9fe::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2600:1::5efe:169.254.169.254",
            "2600:1::200:5efe:10.0.0.1",
            "2600:1::5efe:7f00:1",
        ] {
            for reach in [Reach::Public, Reach::Private] {
                assert!(!is_open(text, reach), "{text} {reach:?}");
            }
        }
    }

    #[test]
    fn c01_private_addresses_want_a_private_reach() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.168.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "fc00::1",
            "fd12:3456::1",
            "fdff::1",
        ] {
            assert!(!is_open(text, Reach::Public), "{text}");
            assert!(is_open(text, Reach::Private), "{text}");
        }
    }

    #[test]
    fn c01_public_addresses_are_open() {
        for text in [
            "8.8.8.8",
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "192.0.1.1",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "2a00::1",
            "2003::1",
            "3ffe::1",
            "3fff:1000::1",
            "64:ff9b::8.8.8.8",
            "2600:1::5efe:8.8.8.8",
        ] {
            assert!(is_open(text, Reach::Public), "{text}");
            assert!(is_open(text, Reach::Private), "{text}");
        }
    }

    #[test]
    fn the_refusal_says_what_kind_of_address_it_is() {
        let what = |text: &str| check(text.parse().unwrap(), Reach::Public).unwrap_err().what;
        assert_eq!(what("255.255.255.255"), "the broadcast address");
        assert_eq!(what("240.0.0.1"), "a reserved address");
        assert_eq!(what("::"), "an unspecified address");
        assert_eq!(what("fe80::1"), LINK_LOCAL);
        assert_eq!(what("ff02::1"), "a multicast address");
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_judged_as_its_ipv4_address(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            for reach in [Reach::Public, Reach::Private] {
                let plain = check(v4.into(), reach).is_ok();
                prop_assert_eq!(check(v4.to_ipv6_mapped().into(), reach).is_ok(), plain);
            }
        }

        #[test]
        fn public_reach_is_never_wider_than_private(bits: u128) {
            let address = IpAddr::V6(Ipv6Addr::from(bits));
            prop_assert!(check(address, Reach::Public).is_err() || check(address, Reach::Private).is_ok());
        }

        #[test]
        fn nat64_reaches_only_public_addresses(bits: u32) {
            let v6 = Ipv6Addr::from((0x0064_ff9b_u128 << 96) | u128::from(bits));
            let plain = check(Ipv4Addr::from(bits).into(), Reach::Public).is_ok();
            prop_assert_eq!(check(v6.into(), Reach::Private).is_ok(), plain);
        }
    }
}
