//! The language of the rows: how a sender signs. Data only; `verify` obeys it.
//!
//! Every type can be written in a `const` (the catalog) and owned (a user's own source), so both are one and the same row.

use std::borrow::Cow;

use crate::provider::place::Place;

pub type Text = Cow<'static, str>;
pub type List<T> = Cow<'static, [T]>;

/// One way to prove who sent a request. A row has one, or several of which the first that the request shows counts.
///
/// Further public-key algorithms belong in `Method`.
#[derive(Debug, Clone)]
pub enum Scheme {
    Signature(Signature),
    /// A secret that the sender repeats with every request. It does not cover the body.
    Token(Token),
    /// A signed token (JWT).
    Jwt(Jwt),
    /// HTTP Basic; the secret is `user:password`.
    Basic,
    /// Nothing is checked. Only for a source that says so in so many words.
    Unverified,
}

/// A value computed over the request with a key.
#[derive(Debug, Clone)]
pub struct Signature {
    /// Only for requests with these values at these places: versions of one header that mean different schemes.
    pub when: List<When>,
    /// Not for requests that have something there.
    pub without: List<Place>,
    /// The array in the body whose elements are signed each by itself: places are then places in an element.
    pub each: Option<Text>,
    /// The sender may have signed the URL with the port or without.
    pub any_port: bool,
    /// Where the hash of a body is that is no form: it must be the body's. For senders that sign a URL with it.
    pub body_digest: Option<Place>,
    /// The names that the same headers go by. Exactly one family may be present, each of its headers once.
    pub families: List<Family>,
    pub layout: Layout,
    /// What counts as a signature; anything else in a list is skipped.
    pub accepted: List<Accepted>,
    /// Headers of an outdated scheme of this sender: alone they are refused, and the reason names them.
    pub weak: List<Text>,
    pub signed: List<Part>,
    /// What may be signed in place of it; empty: nothing else.
    pub or_signed: List<Part>,
    /// What the key of an HMAC is made of; empty: it is the secret.
    pub key: List<Part>,
    /// `None` where there is none, and where what stands in its place is signed but means no time.
    pub time: Option<Time>,
    pub secrets: List<SecretForm>,
}

/// A value that must be there: one of these patterns, in which `*` stands for a text without `/`, and `**` for any.
#[derive(Debug, Clone)]
pub struct When {
    pub place: Place,
    pub patterns: List<Text>,
}

#[derive(Debug, Clone)]
pub struct Family {
    /// Usually one. Several where each key of the sender has a header of its own.
    pub signatures: List<Place>,
    /// `None` where there is no timestamp, or where it stands beside the signature (see `Layout`).
    pub timestamp: Option<Place>,
    pub id: Option<Place>,
}

/// How the signatures are written down.
#[derive(Debug, Clone)]
pub enum Layout {
    /// The value is one signature.
    One,
    /// `signature signature`
    List { separator: Text },
    /// `t=1700000000,v1=signature,v1=signature`
    Fields {
        separator: Text,
        /// The field with the signature; it may come several times.
        signature: Text,
        /// The field with the timestamp; it must come once.
        timestamp: Option<Text>,
    },
    /// `label=:signature:`, the only member of a dictionary (RFC 8941).
    Member,
    /// `1700000000,signature,signature`: counted from 0; everything from `signatures_from` on is a signature.
    Positions {
        separator: Text,
        timestamp: Option<usize>,
        signatures_from: usize,
    },
}

#[derive(Debug, Clone)]
pub struct Accepted {
    /// What must precede the encoded signature: `sha256=`, `v1,`, or nothing.
    pub prefix: Text,
    pub method: Method,
    pub encoding: Encoding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Hmac(Hash),
    /// A bare hash of a text that holds the secret (`Part::Secret`). Weaker than HMAC; some senders have nothing else.
    Digest(Hash),
    Ed25519,
    /// ECDSA on P-256 with SHA-256, the signature in DER.
    EcdsaP256,
    /// The same with SHA-1.
    EcdsaP256Sha1,
    /// The same with the signature as two numbers of 32 bytes, as in a JWT.
    EcdsaP256Fixed,
    /// ECDSA on P-521 with SHA-512, the signature as two numbers of 66 bytes.
    EcdsaP521Fixed,
    /// RSASSA-PKCS1-v1_5.
    Rsa(Hash),
    /// RSASSA-PSS with SHA-512.
    RsaPss,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// Broken where anybody may choose both texts: only for senders that have nothing else.
    Md5,
    /// As MD5.
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    /// Ethereum's SHA-3, with the padding from before the standard.
    Keccak256,
}

/// Each has exactly one spelling of a value, so that no two texts carry one signature. Only `HexAny` has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    HexLower,
    HexUpper,
    /// Only where the sender documents that the case may vary.
    HexAny,
    Base64,
    Base64Unpadded,
    Base64Url,
    Base64UrlUnpadded,
    /// Base64 of the lower-case hex text.
    Base64OfHex,
    Base64UrlOfHex,
    /// Base64 as a form writes it: `%2B`, `%2F` and `%3D` for its `+`, `/` and `=`.
    PercentOfBase64,
}

/// A piece of the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Literal(Text),
    Body,
    /// The timestamp as it was written.
    Timestamp,
    /// The id in the family's id header.
    Id,
    /// The public URL with path and query, from the config.
    Url,
    /// In upper case.
    Method,
    /// Without the query.
    Path,
    /// Path and query as they came.
    Target,
    /// For `Method::Digest`.
    Secret,
    /// The hash of the body, in lower-case hex.
    BodyHash(Hash),
    /// The fields of a form body, sorted by name and then by value, each distinct one as name and value without separators.
    SortedForm,
    /// The same, and nothing of a body that is no form: only where `body_digest` covers that one.
    FormFields,
    /// The CRC-32 of the body as a decimal number.
    BodyCrc32,
    At(Place),
    /// Nothing where it is absent.
    Optional(Place),
    /// The last name of its pointer, a line end, the value, a line end; nothing where it is absent.
    Line(Place),
    /// What the operator gave the source under this name; a literal once the source is made.
    Option(Text),
    /// The JSON text at a pointer into the body, as it was written.
    Raw(Text),
    /// The same as PHP writes it: see `php_json`.
    PhpJson(Text),
    /// The body with the secret in place of the string at a pointer. For `Method::Digest`.
    BodyWithSecret(Text),
    /// The body without ASCII white space.
    BodyWithoutSpace,
    /// The body as JSON without white space, the names in its objects sorted: see `sorted_json`.
    SortedJson,
    /// The signature base of RFC 9421, in which these components must be.
    SignatureBase(List<Text>),
    /// The headers that the one at this place names: see `listed`.
    ListedHeaders(Place),
    /// What a function makes of other parts, of which none is a secret or an option.
    Of(Function, Vec<Part>),
}

/// Makes one text of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The bytes of its hash.
    Hash(Hash),
    Encode(Encoding),
    /// A string in JSON, with its quotes.
    Quote,
    LowerCase,
    UpperCase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    pub unit: Unit,
    /// In both directions; a request that is exactly this old is accepted.
    pub tolerance_s: u32,
    /// In place of it for times in the future.
    pub ahead_s: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Millis,
    /// Told apart by their size, for senders that write both.
    SecondsOrMillis,
    Rfc3339,
    /// The same, or without the time zone, which is UTC then: `2026-01-01T00:00:00.123456`.
    Iso8601,
    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    HttpDate,
}

/// How the operator's secret becomes a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretForm {
    /// Taken off before decoding.
    pub prefix: Text,
    /// Whether a secret without the prefix is another form's, or this one's too.
    pub prefix_required: bool,
    pub encoding: SecretEncoding,
    /// The sender's public key, for `Method::Ed25519`.
    pub public: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretEncoding {
    Text,
    Base64,
    Hex,
    /// The key is the hash of the text.
    HashOfText(Hash),
    /// The key is the text from its end to its beginning.
    Reversed,
    /// A public key or a certificate in PEM, or the base64 of a key in DER (SPKI).
    PublicKey,
    /// A certificate in PEM that others lead to.
    Root,
}

#[derive(Debug, Clone)]
pub struct Token {
    /// As of a signature.
    pub each: Option<Text>,
    pub place: Place,
    pub prefix: Text,
}

/// A token in three parts, signed with the one algorithm that `method` is.
#[derive(Debug, Clone)]
pub struct Jwt {
    pub place: Place,
    pub prefix: Text,
    pub method: Method,
    pub secrets: List<SecretForm>,
    /// Claims, by name or by JSON pointer, of which the first that is there must have one of these values: patterns as of `When`, `{url}` for the public URL, or `{body}` for the body.
    pub claims: List<(List<Text>, List<Text>)>,
    /// The claim with the SHA-256 of the body, and how that is written. Without it the body is not covered.
    pub body_claim: Option<Text>,
    pub body_encoding: Encoding,
    /// The claims with the hex SHA-256 of the public URL, and of Atlassian's canonical request.
    pub url_claim: Option<Text>,
    pub request_claim: Option<Text>,
    /// `exp` must be there; where it is, it is obeyed.
    pub needs_end: bool,
    /// How long ago `iat` may be.
    pub max_age_s: Option<u32>,
    /// The token brings its key along, in certificates that lead to the operator's: see `chain`.
    pub chain: Option<List<Text>>,
}

impl Jwt {
    pub fn signs_url(&self) -> bool {
        self.url_claim.is_some() || self.claims("{url}")
    }

    /// Whether the token is the body, or says what it is.
    pub fn binds_body(&self) -> bool {
        self.place == Place::Whole || self.body_claim.is_some() || self.claims("{body}")
    }

    fn claims(&self, pattern: &str) -> bool {
        let mut patterns = self.claims.iter().flat_map(|(_, it)| it.iter());
        patterns.any(|it| it == pattern)
    }
}

pub const DEFAULT_TOLERANCE_S: u32 = 300;

impl Time {
    pub const SECONDS: Self = Self {
        unit: Unit::Seconds,
        tolerance_s: DEFAULT_TOLERANCE_S,
        ahead_s: None,
    };
}

impl SecretForm {
    /// The secret is the key, as it is written.
    pub const TEXT: Self = Self {
        prefix: Cow::Borrowed(""),
        prefix_required: false,
        encoding: SecretEncoding::Text,
        public: false,
    };
}

impl Hash {
    pub const fn n_bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Keccak256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Keccak256 => "keccak256",
        }
    }
}

impl Method {
    /// The length of a signature in bytes; `None` where it varies.
    pub const fn n_bytes(self) -> Option<usize> {
        match self {
            Self::Hmac(hash) | Self::Digest(hash) => Some(hash.n_bytes()),
            Self::Ed25519 => Some(64),
            Self::EcdsaP256Fixed => Some(64),
            Self::EcdsaP521Fixed | Self::EcdsaP256 | Self::EcdsaP256Sha1 | Self::Rsa(_) | Self::RsaPss => {
                None
            }
        }
    }

    /// Whether the sender signs with a key that the receiver does not have.
    pub const fn is_public(self) -> bool {
        !matches!(self, Self::Hmac(_) | Self::Digest(_))
    }
}

impl Part {
    /// Where the value stands that it is.
    pub const fn place(&self) -> Option<&Place> {
        match self {
            Self::At(place) | Self::Optional(place) | Self::Line(place) => Some(place),
            _ => None,
        }
    }

    /// Adds the places of all values that it is made of.
    pub fn push_places<'p>(&'p self, places: &mut Vec<&'p Place>) {
        match self {
            Self::Of(_, inner) => inner.iter().for_each(|it| it.push_places(places)),
            part => places.extend(part.place()),
        }
    }

    /// Whether this part is one, or is made of one.
    pub fn is_of(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        match self {
            Self::Of(_, inner) => inner.iter().any(|it| it.is_of(test)),
            part => test(part),
        }
    }
}

impl Layout {
    /// Whether a timestamp stands beside the signature.
    pub const fn has_timestamp(&self) -> bool {
        match self {
            Self::One | Self::List { .. } | Self::Member => false,
            Self::Fields { timestamp, .. } => timestamp.is_some(),
            Self::Positions { timestamp, .. } => timestamp.is_some(),
        }
    }
}

impl Signature {
    pub fn signs_url(&self) -> bool {
        let is_of_url = |it: &Part| match it {
            Part::SignatureBase(covered) => {
                covered.iter().any(|it| it == "@target-uri" || it == "@authority")
            }
            part => *part == Part::Url,
        };
        self.signs(&is_of_url)
    }

    /// Whether such a part is signed, by itself or inside another.
    pub fn signs(&self, test: &dyn Fn(&Part) -> bool) -> bool {
        self.signed.iter().any(|it| it.is_of(test))
    }
}
