//! Where in a request a value sits, and how to read it there.

use std::{borrow::Cow, cell::OnceCell, fmt};

use url::form_urlencoded;

use crate::provider::{
    Call, Refusal, encoding,
    header_part::HeaderPart,
    json::{self, Repeated},
    multipart,
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
    /// The text of the first element of that name in an XML body, whatever its namespace; `Outer/Inner` stands right in another.
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
    /// Whether it is in the body, or in a part of it.
    pub(super) const fn is_in_body(&self) -> bool {
        match self {
            Self::Body(_) | Self::Form(_) | Self::FormJson { .. } | Self::Xml(_) | Self::Whole => true,
            Self::Header(_) | Self::HeaderPart { .. } | Self::Query(_) | Self::Claim { .. } => false,
        }
    }

    /// Whether a request may have several of it: one in each element of a batch.
    pub(super) fn is_in_each(&self) -> bool {
        match self {
            Self::Body(pointer) | Self::FormJson { pointer, .. } => pointer.contains("/*"),
            Self::Xml(_) => true,
            Self::Header(_)
            | Self::HeaderPart { .. }
            | Self::Query(_)
            | Self::Form(_)
            | Self::Whole
            | Self::Claim { .. } => false,
        }
    }

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

type Value<'a> = Result<Option<Cow<'a, [u8]>>, Ambiguous>;

/// One for each element of a batch.
type Column<'a> = Vec<Option<Cow<'a, [u8]>>>;

/// Reads values out of one request. What it took apart it keeps: no body is taken apart for each value anew.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    call: &'a Call<'a>,
    /// In place of the call's.
    url: Option<&'a str>,
    is_form: OnceCell<bool>,
    /// The fields of a form body as they are written.
    fields: OnceCell<Vec<&'a [u8]>>,
    /// `None` for a body that is no XML.
    xml: OnceCell<Option<roxmltree::Document<'a>>>,
    /// Values of a JSON body that were looked up together.
    fetched: Vec<(&'a str, Value<'a>)>,
    /// The same of the elements of batches.
    columns: Vec<(&'a str, Column<'a>)>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(call: &'a Call<'a>) -> Self {
        Self {
            call,
            url: call.url,
            is_form: OnceCell::new(),
            fields: OnceCell::new(),
            xml: OnceCell::new(),
            fetched: Vec::new(),
            columns: Vec::new(),
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

    pub(super) fn is_form(&self) -> bool {
        *self.is_form.get_or_init(|| {
            let kind = b"application/x-www-form-urlencoded";
            let shown = self.call.headers.first("content-type");
            let shown = shown.and_then(|it| it.get(..kind.len()));
            shown.is_some_and(|it| it.eq_ignore_ascii_case(kind))
        })
    }

    pub(super) const fn call(&self) -> &'a Call<'a> {
        self.call
    }

    /// Looks up several values of the body in one pass over it, for names: of a key that comes twice the first one counts.
    pub(super) fn fetch(&mut self, pointers: Vec<&'a str>) {
        if pointers.is_empty() || self.is_form() {
            return;
        }
        let found = json::find(self.call.body, &pointers).into_iter();
        let found = found.map(|it| Ok(it.map(into_bytes)));
        self.fetched = pointers.into_iter().zip(found).collect();
    }

    /// The same for everything that a verdict hangs on.
    pub(super) fn fetch_unique(&mut self, pointers: Vec<&'a str>) {
        if pointers.is_empty() || self.is_form() {
            return;
        }
        let found = json::find_unique(self.call.body, &pointers).into_iter();
        self.fetched = pointers.into_iter().zip(found.map(unique)).collect();
    }

    /// Looks up what `each` of these pointers is in one pass over the elements.
    pub(super) fn fetch_each(&mut self, pointers: Vec<&'a str>) {
        if pointers.is_empty() || self.is_form() {
            return;
        }
        let found = json::find_each(self.call.body, &pointers).into_iter();
        let columns = found.map(|it| it.into_iter().map(|it| it.map(into_bytes)).collect());
        self.columns = pointers.into_iter().zip(columns).collect();
    }

    pub(super) fn is_present(&self, place: &Place) -> bool {
        match place {
            Place::Header(name) => self.call.headers.first(name).is_some(),
            _ => !matches!(self.one(place), Ok(None)),
        }
    }

    /// The value, which must be there once: for everything that a verdict hangs on.
    pub(super) fn one(&self, place: &Place) -> Value<'a> {
        match place {
            Place::Header(name) => only(self.call.headers.all(name).map(Cow::Borrowed)),
            Place::HeaderPart { name, part } => {
                let mut values = self.call.headers.all(name);
                match (values.next(), values.count()) {
                    (Some(value), 0) => part.read(value),
                    (None, _) => Ok(None),
                    (Some(_), more) => Err(Ambiguous { count: more + 1 }),
                }
            }
            Place::Query(name) => only(values(self.query(), name)),
            Place::Whole => Ok((!self.call.body.is_empty()).then_some(Cow::Borrowed(self.call.body))),
            Place::Form(field) => only(self.form_values(field)),
            Place::Body(pointer) => self.at_pointer(pointer, |it| {
                unique(json::find_unique(it, &[pointer]).pop().unwrap_or(Ok(None)))
            }),
            Place::FormJson { field, pointer } => {
                let Some(text) = only(self.form_values(field))? else {
                    return Ok(None);
                };
                let found = json::find_unique(&text, &[pointer]).pop().unwrap_or(Ok(None));
                Ok(unique(found)?.map(|it| Cow::Owned(it.into_owned())))
            }
            Place::Xml(path) => only(self.xml_texts(path).map(Cow::Owned)),
            Place::Claim { token, pointers } => {
                let claims = self.one(token)?.and_then(|it| claims(&it)).map(Cow::Owned);
                Ok(pointers
                    .iter()
                    .fold(claims, |text, pointer| inside(&text?, pointer)))
            }
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
            Place::Query(name) => values(self.query(), name).next(),
            Place::Form(field) => self.form_values(field).next(),
            Place::Body(pointer) => {
                let value = self.at_pointer(pointer, |it| Ok(json::find_one(it, pointer).map(into_bytes)));
                value.ok().flatten()
            }
            Place::FormJson { field, pointer } => {
                let text = self.form_values(field).next()?;
                let value = json::find_one(&text, pointer)?.into_owned();
                Some(Cow::Owned(value.into_bytes()))
            }
            Place::Xml(path) => self.xml_texts(path).next().map(Cow::Owned),
            Place::HeaderPart { .. } | Place::Whole | Place::Claim { .. } => self.one(place).ok()?,
        }
    }

    /// The value in each element of a batch, for places that are in each; of any other place the first value.
    ///
    /// Those of a JSON body are there once `fetch_each` looked them up.
    pub(super) fn each(&self, place: &Place) -> Column<'a> {
        match place {
            Place::Body(pointer) if place.is_in_each() && !self.is_form() => {
                let column = self.columns.iter().find(|(it, _)| it == pointer);
                column.map(|(_, values)| values.clone()).unwrap_or_default()
            }
            Place::FormJson { field, pointer } if place.is_in_each() => {
                let text = self.form_values(field).next().unwrap_or_default();
                let found = json::find_each(&text, &[pointer]).into_iter().flatten();
                let owned = |it: Cow<'_, str>| Cow::Owned(it.into_owned().into_bytes());
                found.map(|it| it.map(owned)).collect()
            }
            Place::Xml(path) => self.xml_texts(path).map(|it| Some(Cow::Owned(it))).collect(),
            _ => vec![self.first(place)],
        }
    }

    fn query(&self) -> impl Iterator<Item = &'a [u8]> {
        let query = self.call.target.split_once('?').map_or("", |(_, query)| query);
        fields(query.as_bytes())
    }

    /// The values of a field of a form, whichever way it is written; none of a body that is no form.
    fn form_values(&self, name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let all = self.fields.get_or_init(|| {
            if self.is_form() {
                fields(self.call.body).collect()
            } else {
                Vec::new()
            }
        });
        let parts = self
            .call
            .headers
            .first("content-type")
            .and_then(multipart::boundary);
        let parts = parts.map(|it| multipart::values(self.call.body, it, name));
        values(all.iter().copied(), name).chain(parts.into_iter().flatten())
    }

    /// `find` looks where nothing was fetched. Nothing in a form.
    fn at_pointer(&self, pointer: &str, find: impl FnOnce(&'a [u8]) -> Value<'a>) -> Value<'a> {
        match self.fetched.iter().find(|(it, _)| *it == pointer) {
            Some((_, value)) => value.clone(),
            None if self.is_form() => Ok(None),
            None => find(self.call.body),
        }
    }

    /// Of a document without a DTD, so without entities of its own.
    fn xml_texts(&self, path: &str) -> impl Iterator<Item = Vec<u8>> {
        let document = self.xml.get_or_init(|| {
            let text = std::str::from_utf8(self.call.body).ok()?;
            roxmltree::Document::parse(text).ok()
        });
        let elements = document.iter().flat_map(|it| it.descendants());
        elements
            .filter(move |it| is_at(*it, path))
            .filter_map(|it| Some(it.text()?.trim().as_bytes().to_vec()))
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

/// Whether an element has the last name of the path, the one around it the name before, and so on.
fn is_at(element: roxmltree::Node<'_, '_>, path: &str) -> bool {
    let mut around = element.ancestors();
    path.rsplit('/')
        .all(|name| around.next().is_some_and(|it| it.tag_name().name() == name))
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn unique(found: Result<Option<Cow<'_, str>>, Repeated>) -> Value<'_> {
    match found {
        Ok(text) => Ok(text.map(into_bytes)),
        Err(Repeated) => Err(Ambiguous { count: 2 }),
    }
}

fn fields(encoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    encoded.split(|it| *it == b'&')
}

/// The values of the fields of a name. Only what may have the name is decoded.
fn values<'a>(fields: impl Iterator<Item = &'a [u8]>, name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let may_be_it = move |it: &&[u8]| {
        let written = it.split(|it| *it == b'=').next().unwrap_or_default();
        written == name.as_bytes() || written.iter().any(|it| matches!(it, b'%' | b'+'))
    };
    fields
        .filter(may_be_it)
        .flat_map(form_urlencoded::parse)
        .filter(move |(it, _)| it == name)
        .map(|(_, value)| into_bytes(value))
}

fn only<'a>(mut values: impl Iterator<Item = Cow<'a, [u8]>>) -> Value<'a> {
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match values.count() {
        0 => Ok(Some(value)),
        more => Err(Ambiguous { count: more + 1 }),
    }
}
