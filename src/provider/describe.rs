//! Rows in words: for `gatepost providers`, the docs and the dashboard.

use std::fmt;

use crate::provider::{
    Confidence, Provider,
    handshake::{Handshake, Proof},
    published::{Address, Form, Published},
    scheme::{Accepted, Encoding, Function, Hash, Layout, Method, Part, Scheme, Signature},
};

impl Provider {
    /// The kind of its first scheme, in a word.
    pub fn kind(&self) -> &'static str {
        match self.schemes.first() {
            Some(Scheme::Signature(signature)) => match signature.accepted.first().map(|it| it.method) {
                Some(Method::Digest(_)) => "hash",
                Some(Method::Ed25519) => "ed25519",
                Some(
                    Method::EcdsaP256
                    | Method::EcdsaP256Sha1
                    | Method::EcdsaP256Fixed
                    | Method::EcdsaP521Fixed,
                ) => "ecdsa",
                Some(Method::Rsa(_) | Method::RsaPss) => "rsa",
                _ if signature.accepted.len() > 1 => "standard-webhooks",
                _ => "hmac",
            },
            Some(Scheme::Token(_)) => "token",
            Some(Scheme::Jwt(_)) => "jwt",
            Some(Scheme::Basic) => "basic",
            Some(Scheme::Unverified) | None => "none",
        }
    }

    /// The broken hash that it signs with, where more than an HMAC with SHA-1 rests on that.
    pub fn weak_hash(&self) -> Option<Hash> {
        let weak = |it: &Accepted| match it.method {
            Method::Hmac(Hash::Md5) | Method::Digest(Hash::Md5) => Some(Hash::Md5),
            Method::Digest(Hash::Sha1) | Method::Rsa(Hash::Sha1) | Method::EcdsaP256Sha1 => Some(Hash::Sha1),
            _ => None,
        };
        self.schemes.iter().find_map(|it| match it {
            Scheme::Signature(signature) => signature.accepted.iter().find_map(weak),
            _ => None,
        })
    }

    /// How its requests are verified, one line for each scheme: `HMAC-SHA256 over {timestamp}.{body} in header:x-signature`.
    pub fn summary(&self) -> Vec<String> {
        self.schemes.iter().map(ToString::to_string).collect()
    }
}

impl Confidence {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docs => "docs",
            Self::Code => "code",
            Self::DocsAndCode => "docs+code",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// `a set of keys at https://www.googleapis.com/oauth2/v3/certs`
impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.form {
            Form::Jwks { .. } => "a set of keys",
            Form::Certificate { .. } => "the certificate",
        };
        match &self.at {
            Address::Fixed(url) | Address::Own(url) => write!(f, "{what} at {url}"),
            Address::Named { place, urls } => {
                write!(f, "{what} at the address in {place}: {}", urls.join(" or "))
            }
        }
    }
}

/// `GET query:challenge, echoed`
impl fmt::Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.method)?;
        for (place, text) in self.when.iter() {
            write!(f, " with `{text}` in {place}")?;
        }
        if let Some(value) = &self.value {
            write!(f, ", {value} ")?;
            f.write_str(if self.mac.is_some() { "signed" } else { "echoed" })?;
        }
        if self.confirmation.is_some() {
            f.write_str(", confirmed by a call of our own")?;
        }
        write!(f, ", answered {}", self.status)?;
        if self.shows_verify_token() {
            f.write_str(" with the source's `verify_token`")?;
        }
        if self.notice.is_some() {
            f.write_str(" and kept for `gatepost requests list`")?;
        }
        match &self.proof {
            Proof::Nobody => Ok(()),
            Proof::Signed => f.write_str(", once its signature is verified"),
            Proof::Handover => f.write_str(
                ", while the source has no secrets: it is the secret, and `gatepost requests list` shows where it came",
            ),
            Proof::VerifyToken(place) => write!(f, ", if {place} is the source's `verify_token`"),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(signature) => fmt::Display::fmt(signature, f),
            Self::Token(token) => write!(f, "token in {}", token.place),
            Self::Jwt(jwt) => {
                write!(f, "JWT ({}) in {}", jwt.algorithm(), jwt.place)?;
                for (names, patterns) in jwt.claims.iter() {
                    write!(f, ", `{}` {}", names.join("` or `"), patterns.join(" or "))?;
                }
                if jwt.chain.is_some() {
                    f.write_str(", by a certificate that leads to yours")?;
                }
                match &jwt.body_claim {
                    Some(claim) => write!(f, ", the body's hash in `{claim}`"),
                    None if jwt.binds_body() => Ok(()),
                    None => f.write_str(", which says nothing of the body"),
                }
            }
            Self::Basic => f.write_str("user and password in header:authorization"),
            Self::Unverified => f.write_str("nothing is verified"),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, rule) in self.accepted.iter().enumerate() {
            let between = if idx == 0 { "" } else { " or " };
            write!(f, "{between}{}", rule.method)?;
        }
        f.write_str(" over ")?;
        for part in self.signed.iter() {
            write!(f, "{part}")?;
        }
        if !self.key.is_empty() {
            f.write_str(" with the key ")?;
            self.key.iter().try_for_each(|it| write!(f, "{it}"))?;
        }
        f.write_str(" in ")?;
        if let Layout::Fields { signature, .. } = &self.layout {
            write!(f, "field {signature} of ")?;
        }
        let places = self.families.iter().flat_map(|it| it.signatures.iter());
        for (idx, place) in places.enumerate() {
            let between = if idx == 0 { "" } else { " or " };
            write!(f, "{between}{place}")?;
        }
        if let Some(time) = self.time {
            write!(f, ", at most {} s old", time.tolerance_s)?;
        }
        Ok(())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hmac(hash) => write!(f, "HMAC-{}", hash.as_str().to_uppercase()),
            Self::Digest(hash) => write!(f, "plain {}", hash.as_str().to_uppercase()),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::EcdsaP256 | Self::EcdsaP256Fixed => f.write_str("ECDSA-P256"),
            Self::EcdsaP256Sha1 => f.write_str("ECDSA-P256-SHA1"),
            Self::EcdsaP521Fixed => f.write_str("ECDSA-P521"),
            Self::Rsa(hash) => write!(f, "RSA-{}", hash.as_str().to_uppercase()),
            Self::RsaPss => f.write_str("RSA-PSS-SHA512"),
        }
    }
}

/// As a recipe in the config writes it.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(
                &text
                    .replace('{', "{{")
                    .replace('}', "}}")
                    .escape_debug()
                    .to_string(),
            ),
            Self::Body => f.write_str("{body}"),
            Self::Timestamp => f.write_str("{timestamp}"),
            Self::Id => f.write_str("{id}"),
            Self::Url => f.write_str("{url}"),
            Self::Method => f.write_str("{method}"),
            Self::Path => f.write_str("{path}"),
            Self::Target => f.write_str("{target}"),
            Self::Secret => f.write_str("{secret}"),
            Self::BodyHash(hash) => write!(f, "{{body_{}}}", hash.as_str()),
            Self::SortedForm => f.write_str("{sorted_form}"),
            Self::FormFields => f.write_str("{form_fields}"),
            Self::BodyCrc32 => f.write_str("{body_crc32}"),
            Self::At(place) => write!(f, "{{{place}}}"),
            Self::Optional(place) => write!(f, "{{{place}?}}"),
            Self::Line(place) => write!(f, "{{line:{place}}}"),
            Self::Option(name) => write!(f, "{{option:{name}}}"),
            Self::Raw(pointer) => write!(f, "{{raw:{pointer}}}"),
            Self::PhpJson(pointer) => write!(f, "{{php_json:{pointer}}}"),
            Self::BodyWithSecret(pointer) => write!(f, "{{body_with_secret:{pointer}}}"),
            Self::BodyWithoutSpace => f.write_str("{body_without_space}"),
            Self::SortedJson => f.write_str("{sorted_json}"),
            Self::SignatureBase(covered) => write!(f, "{{signature_base:{}}}", covered.join(",")),
            Self::ListedHeaders(list) => write!(f, "{{listed:{list}}}"),
            Self::Of(function, inner) => {
                write!(f, "{{{function}:")?;
                inner.iter().try_for_each(|it| it.fmt(f))?;
                f.write_str("}")
            }
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hash(hash) => hash.as_str(),
            Self::Encode(Encoding::Base64) => "base64",
            Self::Encode(Encoding::Base64UrlUnpadded) => "base64url",
            Self::Encode(_) => "hex",
            Self::Quote => "quoted",
            Self::LowerCase => "lower",
            Self::UpperCase => "upper",
        })
    }
}
