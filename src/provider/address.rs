//! Addresses and names that a request may name, compared as text: nothing is parsed, so no two readings of one address can differ.

/// Whether the text has exactly this form: `{name}` stands for letters, digits and hyphens, `{region}` for a region of AWS.
///
/// What stands for itself holds every slash, dot, colon and `@`, and what varies holds none of them: no other host fits in.
pub(super) fn has_form(text: &str, form: &str) -> bool {
    let Some((before, rest)) = form.split_once('{') else {
        return text == form;
    };
    let (Some(text), Some((word, after))) = (text.strip_prefix(before), rest.split_once('}')) else {
        return false;
    };
    let is_varying = |it: &u8| it.is_ascii_alphanumeric() || *it == b'-';
    let (value, text) = text.split_at(text.bytes().take_while(|it| is_varying(it)).count());
    let is_fit = match word {
        "name" => (1..=MAX_NAME).contains(&value.len()),
        "region" => is_region(value),
        _ => false,
    };
    is_fit && has_form(text, after)
}

const MAX_NAME: usize = 128;

/// `us-east-1`, `us-gov-west-1`. Never `s3-us-west-2`: `sns.s3-us-west-2.amazonaws.com` is anybody's bucket called `sns`.
pub(super) fn is_region(text: &str) -> bool {
    let mut words: Vec<&str> = text.split('-').collect();
    let number = words.pop().unwrap_or_default();
    let is_word = |it: &&str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_lowercase());
    (2..=4).contains(&words.len())
        && words.iter().all(is_word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    const SNS: &str = "https://sns.{region}.amazonaws.com/{name}.pem";
    const PAYPAL: &str = "https://api.paypal.com/v1/notifications/certs/{name}";

    #[test]
    fn a11_the_addresses_of_senders_have_the_form() {
        for (text, form) in [
            (
                "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-56e67fcb41f6fec09b0196692625d385.pem",
                SNS,
            ),
            ("https://sns.us-gov-west-1.amazonaws.com/a.pem", SNS),
            ("https://sns.ap-southeast-4.amazonaws.com/a.pem", SNS),
            (
                "https://sns.cn-north-1.amazonaws.com.cn/a.pem",
                "https://sns.{region}.amazonaws.com.cn/{name}.pem",
            ),
            (
                "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77",
                PAYPAL,
            ),
        ] {
            assert!(has_form(text, form), "{text}");
        }
    }

    #[test]
    fn a11_no_other_address_has_it() {
        let hostile = [
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "HTTPS://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com:443/a.pem",
            "https://sns.us-east-1.amazonaws.com:8443/a.pem",
            "https://sns.us-east-1.amazonaws.com./a.pem",
            "https://user@sns.us-east-1.amazonaws.com/a.pem",
            "https://evil.example/https://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/a.pem",
            "https://sns.us-east-1.amazonaws.com@evil.example/a.pem",
            "https://sns.us-east-1.amazonaws.com\\@evil.example/a.pem",
            "https://sns.us-east-1.amazonaws.com#@evil.example/a.pem",
            "https://sns.evil.example?.amazonaws.com/a.pem",
            "https://sns.evil.example#.amazonaws.com/a.pem",
            "https://sns.evil.example\\.amazonaws.com/a.pem",
            "https://sns.a@evil.example.amazonaws.com/a.pem",
            // Buckets called `sns`.
            "https://sns.s3.amazonaws.com/a.pem",
            "https://sns.s3-us-west-2.amazonaws.com/a.pem",
            "https://sns.s3.us-west-2.amazonaws.com/a.pem",
            "https://sns.s3-website-us-west-2.amazonaws.com/a.pem",
            "https://sns.amazonaws.com/a.pem",
            "https://sns..amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com/a/../b.pem",
            "https://sns.us-east-1.amazonaws.com/%2e%2e/a.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem?b",
            "https://sns.us-east-1.amazonaws.com/a.pem#b",
            "https://sns.us-east-1.amazonaws.com//a.pem",
            "https://sns.us-east-1.amazonaws.com/.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem ",
            " https://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com/\u{ff41}.pem",
            "https://sns.us\u{2010}east\u{2010}1.amazonaws.com/a.pem",
            "https://127.0.0.1/a.pem",
            "",
        ];
        for text in hostile {
            assert!(!has_form(text, SNS), "{text}");
        }
        let hostile = [
            "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
            "https://api.paypal.com/v1/notifications/certs/../../oauth2",
            "https://api.paypal.com/v1/oauth2/token",
            "https://api.paypal.com/v1/notifications/certs/",
            "https://api.paypal.com/v1/notifications/certs/CERT-1/x",
            "https://www.paypal.com/v1/notifications/certs/CERT-1",
        ];
        for text in hostile {
            assert!(!has_form(text, PAYPAL), "{text}");
        }
        let long = format!(
            "https://api.paypal.com/v1/notifications/certs/{}",
            "a".repeat(129)
        );
        assert!(!has_form(&long, PAYPAL));
    }

    proptest! {
        /// Whatever has the form is read by the parser as an address of the one host, and means nothing else.
        #[test]
        fn a11_what_has_the_form_leads_to_the_pinned_host(
            region in "[a-z0-9.:/@?#\\\\%-]{0,12}|[a-z]{2}-[a-z]{1,9}-[0-9]",
            name in "[A-Za-z0-9.:/@?#\\\\%-]{0,12}",
        ) {
            let text = format!("https://sns.{region}.amazonaws.com/{name}.pem");
            if has_form(&text, SNS) {
                let url = Url::parse(&text).unwrap();
                prop_assert_eq!(url.as_str(), text.as_str());
                prop_assert_eq!(url.host_str().unwrap(), format!("sns.{region}.amazonaws.com"));
                prop_assert!(is_region(&region));
                prop_assert!(url.port().is_none() && url.query().is_none() && url.fragment().is_none());
                prop_assert_eq!(url.path(), format!("/{name}.pem"));
            }
        }
    }
}
