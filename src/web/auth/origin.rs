//! Where a request comes from, as a browser tells it: other sites' pages are kept out by this.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, header, uri::Authority};

/// Whether a page of another site made a browser send this. What is not a browser says nothing, and no.
pub(crate) fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    headers.contains_key(header::ORIGIN) && !is_own_origin(headers)
}

/// Whether a page of this very side sent it. A browser that says nothing of it is not believed: with a cookie, which it sends by
/// itself, silence proves nothing.
pub(crate) fn is_same_origin(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site.as_bytes() == b"same-origin",
        None => is_own_origin(headers),
    }
}

fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN).map(HeaderValue::as_bytes) else {
        return false;
    };
    let authority = origin
        .strip_prefix(b"https://")
        .or_else(|| origin.strip_prefix(b"http://"));
    authority.is_some() && authority == headers.get(header::HOST).map(HeaderValue::as_bytes)
}

/// Whether the `Host` is a name that another site's DNS cannot point here.
pub(crate) fn is_own_host(headers: &HeaderMap, listen: IpAddr) -> bool {
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
    let Some(authority) = host.and_then(|it| it.parse::<Authority>().ok()) else {
        return false;
    };
    let name = authority.host();
    let name = name
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
        .unwrap_or(name);
    match name.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback() || ip.to_canonical() == listen,
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

/// A path of this side, to go to after a login. `None` for whatever a browser could read as another site.
pub(crate) fn local_path(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('/')?;
    let is_plain = rest.bytes().all(|c| c.is_ascii_graphic() && c != b'\\');
    (is_plain && !rest.starts_with('/') && text.len() <= 2000).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn g05_other_sites_are_told_apart() {
        // By a token, and by a cookie, which needs more.
        let check = |pairs: &[(&'static str, &str)], by_token: bool, by_cookie: bool| {
            let mut headers = headers(pairs);
            headers.insert(header::HOST, "localhost:8081".parse().unwrap());
            assert_eq!(!is_cross_site(&headers), by_token, "{pairs:?}");
            assert_eq!(is_same_origin(&headers), by_cookie, "{pairs:?}");
        };
        check(&[], true, false);
        check(&[("sec-fetch-site", "same-origin")], true, true);
        check(&[("sec-fetch-site", "none")], true, false);
        check(&[("sec-fetch-site", "cross-site")], false, false);
        check(&[("sec-fetch-site", "same-site")], false, false);
        check(&[("origin", "http://localhost:8081")], true, true);
        check(&[("origin", "https://localhost:8081")], true, true);
        check(&[("origin", "http://localhost:3000")], false, false);
        check(&[("origin", "http://localhost")], false, false);
        check(&[("origin", "null")], false, false);
        check(&[("origin", "")], false, false);
        check(&[("origin", "http://evil.example")], false, false);
        let both = [
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://localhost:8081"),
        ];
        check(&both, false, false);
    }

    #[test]
    fn an_origin_without_a_host_to_match_is_another_ones() {
        assert!(is_cross_site(&headers(&[("origin", "http://")])));
        assert!(!is_same_origin(&headers(&[("origin", "localhost")])));
    }

    #[test]
    fn g05_a_side_without_tokens_answers_to_its_own_names_only() {
        let check = |host: &str, expected: bool| {
            let own = is_own_host(&headers(&[("host", host)]), "127.0.0.1".parse().unwrap());
            assert_eq!(own, expected, "{host}");
        };
        for host in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1",
            "127.0.0.1:9",
            "[::1]:8081",
            "[::1]",
        ] {
            check(host, true);
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:8081",
            "10.0.0.1",
            "127.0.0.1@evil",
        ] {
            check(host, false);
        }
        assert!(!is_own_host(&HeaderMap::new(), "127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_login_leads_nowhere_but_here() {
        for path in [
            "/",
            "/events",
            "/events?status=dead&q=a%20b",
            "/events/evt_1#body",
        ] {
            assert_eq!(local_path(path), Some(path));
        }
        for other in [
            "",
            "events",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "/a\\b",
            "/\t/evil.example",
            "/\n/evil.example",
            " /",
            "/ /evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\u{2028}",
            "/\u{ff0f}evil.example",
        ] {
            assert_eq!(local_path(other), None, "{other:?}");
        }
        assert_eq!(local_path(&format!("/{}", "a".repeat(2000))), None);
    }
}
