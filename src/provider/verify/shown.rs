//! Which proof a request shows, and where: what is read to verify it, and what is wrong where there is none.

use std::borrow::Cow;

use crate::provider::{
    Provider, Refusal, json,
    place::{Place, Reader},
    scheme::{Family, Part, Scheme, Signature},
};

pub(super) const AUTHORIZATION: &str = "authorization";

impl Scheme {
    /// Where its proof sits.
    pub(in crate::provider) fn places(&self) -> Vec<Place> {
        match self {
            Self::Signature(signature) => {
                let places = signature.families.iter().flat_map(|it| it.signatures.iter());
                places.cloned().collect()
            }
            Self::Token(token) => vec![token.place.clone()],
            Self::Jwt(jwt) => vec![jwt.place.clone()],
            Self::Basic => vec![Place::Header(Cow::Borrowed(AUTHORIZATION))],
            Self::Unverified => Vec::new(),
        }
    }

    /// Adds what is read of a JSON body to verify a request, each pointer once.
    pub(super) fn push_pointers<'s>(&'s self, pointers: &mut Vec<&'s str>) {
        let mut push = |it: &'s str| {
            if !pointers.contains(&it) {
                pointers.push(it);
            }
        };
        match self {
            Self::Signature(signature) => {
                pointers_of(signature.conditions()).for_each(&mut push);
                if signature.each.is_none() {
                    pointers_of(signature.places()).for_each(&mut push);
                }
            }
            Self::Token(token) if token.each.is_none() => {
                pointers_of(std::iter::once(&token.place)).for_each(&mut push);
            }
            Self::Jwt(jwt) => pointers_of(std::iter::once(&jwt.place)).for_each(&mut push),
            Self::Token(_) | Self::Basic | Self::Unverified => {}
        }
    }

    /// Whether the request shows this kind of proof, right or wrong.
    pub(in crate::provider) fn is_shown(&self, reader: &Reader<'_>) -> bool {
        let has_elements = self
            .each()
            .is_none_or(|it| json::elements(reader.call().body, it).is_some());
        has_elements && self.may_be_shown(reader)
    }

    /// The same, but of a batch, which shows its proofs in its elements: those are looked for when they are verified.
    pub(super) fn may_be_shown(&self, reader: &Reader<'_>) -> bool {
        match self {
            Self::Signature(signature) => {
                let mut places = signature.families.iter().flat_map(|it| it.signatures.iter());
                let is_there = signature.each.is_some() || places.any(|it| reader.is_present(it));
                is_there
                    && signature.when.iter().all(|it| it.holds(reader))
                    && !signature.without.iter().any(|it| reader.is_present(it))
            }
            Self::Token(token) => token.each.is_some() || reader.is_present(&token.place),
            Self::Jwt(jwt) => reader.is_present(&jwt.place),
            Self::Basic => reader.call().headers.first(AUTHORIZATION).is_some(),
            Self::Unverified => true,
        }
    }

    /// The array in the body whose elements show a proof each.
    fn each(&self) -> Option<&str> {
        match self {
            Self::Signature(signature) => signature.each.as_deref(),
            Self::Token(token) => token.each.as_deref(),
            Self::Jwt(_) | Self::Basic | Self::Unverified => None,
        }
    }

    /// Whether a secret is the same key for both.
    pub(super) fn has_keys_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Signature(left), Self::Signature(right)) => left.secrets == right.secrets,
            // The one secret, in another place.
            (Self::Token(_), Self::Token(_)) => true,
            _ => false,
        }
    }

    pub(super) fn key_missing(&self, n_secrets: usize) -> Refusal {
        let hint = match self {
            Self::Signature(signature) => match signature.secrets.first() {
                Some(form) if !form.prefix.is_empty() => {
                    format!("add the signing secret, which starts with `{}`", form.prefix)
                }
                _ => "add the signing secret".to_owned(),
            },
            _ => "add the token".to_owned(),
        };
        Refusal::KeyMissing {
            place: format!("`{}`", list(&self.places())),
            n_secrets,
            hint,
        }
    }
}

impl Signature {
    /// What tells whose request it is.
    fn conditions(&self) -> impl Iterator<Item = &Place> {
        self.when.iter().map(|it| &it.place).chain(self.without.iter())
    }

    /// What is read to verify it: in the request, or in each element of a batch.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        let signed = self
            .signed
            .iter()
            .chain(self.or_signed.iter())
            .chain(self.key.iter());
        let families = self.families.iter().flat_map(Family::places);
        families
            .chain(signed.filter_map(Part::place))
            .chain(&self.body_digest)
    }
}

impl Family {
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.signatures.iter().chain(&self.timestamp).chain(&self.id)
    }
}

/// Those in a JSON body.
pub(super) fn pointers_of<'p>(places: impl Iterator<Item = &'p Place>) -> impl Iterator<Item = &'p str> {
    places.filter_map(|it| match it {
        Place::Body(pointer) => Some(pointer.as_ref()),
        _ => None,
    })
}

pub(super) fn unsigned(provider: &Provider, reader: &Reader<'_>) -> Refusal {
    let places: Vec<_> = provider.schemes.iter().flat_map(Scheme::places).collect();
    if let Some(twice) = places.iter().find_map(|it| reader.once(it).err()) {
        return twice;
    }
    let wanted = places
        .iter()
        .map(|it| format!("`{it}`"))
        .collect::<Vec<_>>()
        .join(" or ");
    let weak = provider.schemes.iter().filter_map(|it| match it {
        Scheme::Signature(signature) => signature
            .weak
            .iter()
            .find(|it| reader.call().headers.first(it).is_some()),
        _ => None,
    });
    match weak.into_iter().next() {
        Some(found) => Refusal::WeakSignature {
            found: found.to_string(),
            wanted,
        },
        None => Refusal::Unsigned { wanted },
    }
}

pub(super) fn list(places: &[Place]) -> String {
    places
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("`, `")
}
