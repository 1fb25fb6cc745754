//! Where in a request a value sits, and how to read it there.

use std::{borrow::Cow, fmt};

use url::form_urlencoded;

use crate::provider::{
    Call, Refusal, encoding,
    header_part::HeaderPart,
    json, multipart,
    scheme::{List, Text},
};

/// The place of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The name in lower case.
    Header(Text),
    /// A piece of a header.
    HeaderPart { name: Text, part: HeaderPart },
    /// The body as it is.
    Whole,
    /// A JSON pointer into the body. `*` stands for the first element of an array.
    Body(Text),
    /// A parameter of the URL's query.
    Query(Text),
    /// A field of a form body.
    Form(Text),
    /// The text of the first element of that name in an XML body, whatever its namespace.
    Xml(Text),
    /// A JSON pointer into a field of a form body.
    FormJson { field: Text, pointer: Text },
    /// A JSON pointer into the claims of a token; a further one leads into the JSON that the string there is.
    Claim { token: Box<Self>, pointers: List<Text> },
}

/// A name made of one place, or of several: a type like `order` and `paid` in two fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    At(Place),
    /// Only if all are there.
    Joined {
        places: List<Place>,
        separator: Text,
    },
}

pub const fn header(name: &'static str) -> Place {
    Place::Header(Cow::Borrowed(name))
}

pub const fn body(pointer: &'static str) -> Place {
    Place::Body(Cow::Borrowed(pointer))
}

pub const fn form(field: &'static str) -> Place {
    Place::Form(Cow::Borrowed(field))
}

pub const fn form_json(field: &'static str, pointer: &'static str) -> Place {
    Place::FormJson {
        field: Cow::Borrowed(field),
        pointer: Cow::Borrowed(pointer),
    }
}

impl Reading {
    pub fn places(&self) -> &[Place] {
        match self {
            Self::At(place) => std::slice::from_ref(place),
            Self::Joined { places, .. } => places,
        }
    }
}

/// As the config writes it: `header:x-event-id`, `body:/id`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Body(pointer) => write!(f, "body:{pointer}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Form(field) => write!(f, "form:{field}"),
            Self::Xml(name) => write!(f, "xml:{name}"),
            Self::FormJson { field, pointer } => write!(f, "form:{field}:{pointer}"),
            Self::HeaderPart { name, part } => write!(f, "header:{name}:{part}"),
            Self::Whole => f.write_str("body"),
            Self::Claim { pointers, .. } => write!(f, "claim:{}", pointers.join(":")),
        }
    }
}

impl Place {
    /// The name of the header, field or element, or the pointer.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Header(it) | Self::Body(it) | Self::Query(it) | Self::Form(it) | Self::Xml(it) => it,
            Self::HeaderPart { name, .. } => name,
            Self::FormJson { pointer, .. } => pointer,
            Self::Claim { pointers, .. } => pointers.last().map_or("", AsRef::as_ref),
            Self::Whole => "",
        }
    }
}

/// The value was there more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambiguous {
    pub(super) count: usize,
}

/// Reads values out of one request.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    call: &'a Call<'a>,
    /// In place of the call's.
    url: Option<&'a str>,
    is_form: bool,
    /// What stands between the parts of a `multipart/form-data` body.
    boundary: Option<&'a str>,
    /// Values of the body that were looked up together.
    fetched: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(call: &'a Call<'a>) -> Self {
        let content_type = call.headers.first("content-type");
        let is_form = content_type.is_some_and(|it| {
            let kind = b"application/x-www-form-urlencoded";
            it.len() >= kind.len() && it[..kind.len()].eq_ignore_ascii_case(kind)
        });
        Self {
            call,
            url: call.url,
            is_form,
            boundary: content_type.and_then(multipart::boundary),
            fetched: Vec::new(),
        }
    }

    /// The same request, as if it had been sent to another URL.
    pub(super) fn at_url(call: &'a Call<'a>, url: &'a str) -> Self {
        Self {
            url: Some(url),
            ..Self::new(call)
        }
    }

    pub(super) const fn url(&self) -> Option<&'a str> {
        self.url
    }

    pub(super) const fn is_form(&self) -> bool {
        self.is_form
    }

    pub(super) const fn call(&self) -> &'a Call<'a> {
        self.call
    }

    /// Looks up several values of the body in one pass over it.
    pub(super) fn fetch(&mut self, pointers: Vec<&'a str>) {
        if self.is_form || pointers.is_empty() {
            return;
        }
        let found = json::find(self.call.body, &pointers);
        self.fetched = pointers.into_iter().zip(found).collect();
    }

    pub(super) fn is_present(&self, place: &Place) -> bool {
        match place {
            Place::Header(name) => self.call.headers.first(name).is_some(),
            _ => !matches!(self.one(place), Ok(None)),
        }
    }

    /// The value, which must be there once: for everything that a verdict hangs on.
    pub(super) fn one(&self, place: &Place) -> Result<Option<Cow<'a, [u8]>>, Ambiguous> {
        match place {
            Place::Header(name) => only(
                self.call
                    .headers
                    .iter()
                    .filter(|(it, _)| it == name)
                    .map(|(_, value)| Cow::Borrowed(value)),
            ),
            Place::Query(name) => only(pairs(self.query(), name)),
            Place::HeaderPart { name, part } => {
                let mut values = self.call.headers.iter().filter(|(it, _)| it == name);
                match (values.next(), values.count()) {
                    (Some((_, value)), 0) => part.read(value),
                    (None, _) => Ok(None),
                    (Some(_), more) => Err(Ambiguous { count: more + 1 }),
                }
            }
            Place::Whole => Ok((!self.call.body.is_empty()).then_some(Cow::Borrowed(self.call.body))),
            Place::Form(field) => only(self.fields(field)),
            Place::Body(pointer) if !self.is_form => Ok(self.at_pointer(pointer).map(into_bytes)),
            Place::FormJson { field, pointer } => {
                Ok(only(self.fields(field))?.and_then(|it| inside(&it, pointer)))
            }
            Place::Xml(name) => Ok(xml_text(self.call.body, name).map(|it| Cow::Owned(it.into_bytes()))),
            Place::Claim { token, pointers } => {
                let claims = self.one(token)?.and_then(|it| claims(&it)).map(Cow::Owned);
                Ok(pointers
                    .iter()
                    .fold(claims, |text, pointer| inside(&text?, pointer)))
            }
            Place::Body(_) => Ok(None),
        }
    }

    /// The same, with a second value refused.
    pub(super) fn once(&self, place: &Place) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
        self.one(place).map_err(|Ambiguous { count }| Refusal::Duplicate {
            place: format!("`{place}`"),
            count,
        })
    }

    /// The first value: for names, where a second one is no reason to refuse an event that verified.
    pub(super) fn first(&self, place: &Place) -> Option<Cow<'a, [u8]>> {
        match place {
            Place::Header(name) => self.call.headers.first(name).map(Cow::Borrowed),
            Place::Query(name) => pairs(self.query(), name).next(),
            Place::Form(field) => self.fields(field).next(),
            Place::FormJson { field, pointer } => inside(&self.fields(field).next()?, pointer),
            Place::Body(_)
            | Place::HeaderPart { .. }
            | Place::Whole
            | Place::Claim { .. }
            | Place::Xml(_) => self.one(place).ok()?,
        }
    }

    /// The values of a field of a form, whichever way it is written; none of a body that is no form.
    fn fields(&self, name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let encoded = if self.is_form { self.call.body } else { b"" };
        let parts = self
            .boundary
            .map(|it| multipart::values(self.call.body, it, name));
        pairs(encoded, name).chain(parts.into_iter().flatten())
    }

    fn query(&self) -> &'a [u8] {
        self.call
            .target
            .split_once('?')
            .map_or(&b""[..], |(_, query)| query.as_bytes())
    }

    fn at_pointer(&self, pointer: &str) -> Option<Cow<'a, str>> {
        match self.fetched.iter().find(|(it, _)| *it == pointer) {
            Some((_, value)) => value.clone(),
            None => json::find_one(self.call.body, pointer),
        }
    }
}

/// The value at a pointer into a text that is JSON.
fn inside(text: &[u8], pointer: &str) -> Option<Cow<'static, [u8]>> {
    let value = json::find_one(text, pointer)?.into_owned();
    Some(Cow::Owned(value.into_bytes()))
}

/// The claims of a token, with a word like `Bearer` before it or without.
fn claims(token: &[u8]) -> Option<Vec<u8>> {
    let token = token.rsplit(|it| *it == b' ').next()?;
    encoding::decode_url(token.split(|it| *it == b'.').nth(1)?)
}

/// Of a document without a DTD, so without entities of its own.
fn xml_text(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let document = roxmltree::Document::parse(text).ok()?;
    let element = document.descendants().find(|it| it.tag_name().name() == name)?;
    element.text().map(|it| it.trim().to_owned())
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn pairs<'a>(encoded: &'a [u8], name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    form_urlencoded::parse(encoded)
        .filter(move |(it, _)| it == name)
        .map(|(_, value)| into_bytes(value))
}

fn only<'a>(mut values: impl Iterator<Item = Cow<'a, [u8]>>) -> Result<Option<Cow<'a, [u8]>>, Ambiguous> {
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match values.count() {
        0 => Ok(Some(value)),
        more => Err(Ambiguous { count: more + 1 }),
    }
}
