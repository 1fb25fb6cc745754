//! How much of a request nobody can change without the key.

use crate::{
    event::Binding,
    provider::{
        Provider,
        place::Place,
        scheme::{Part, Scheme, Signature},
    },
};

impl Provider {
    /// What a verified request of this provider is bound by; of several schemes the weakest.
    pub fn binding(&self) -> Binding {
        let bindings = self.schemes.iter().map(Scheme::binding);
        bindings.max().unwrap_or(Binding::None)
    }
}

impl Scheme {
    pub(super) fn binding(&self) -> Binding {
        match self {
            Self::Signature(signature) => signature.binding(),
            Self::Jwt(jwt) if jwt.binds_body() => Binding::Body,
            Self::Token(_) | Self::Jwt(_) | Self::Basic => Binding::Origin,
            Self::Unverified => Binding::None,
        }
    }
}

impl Signature {
    /// What nobody can change without the key: of two texts that may be signed, what is in both.
    pub fn binding(&self) -> Binding {
        let of_first = self.binding_of(&self.signed);
        if self.or_signed.is_empty() {
            of_first
        } else {
            of_first.max(self.binding_of(&self.or_signed))
        }
    }

    fn binding_of(&self, signed: &[Part]) -> Binding {
        let is_whole = |it: &Part| match it {
            Part::Body
            | Part::BodyHash(_)
            | Part::BodyWithSecret(_)
            | Part::SortedForm
            | Part::FormFields
            | Part::SortedJson => true,
            Part::SignatureBase(covered) => covered.iter().any(|it| it == "content-digest"),
            _ => false,
        };
        let is_some = |it: &Part| match it {
            // Another body with the same CRC is easily found.
            Part::BodyCrc32 | Part::Raw(_) | Part::PhpJson(_) => true,
            // White space in a string is not covered.
            Part::BodyWithoutSpace => true,
            part => part.place().is_some_and(Place::is_in_body),
        };
        let has = |test: &dyn Fn(&Part) -> bool| signed.iter().any(|it| it.is_of(test));
        let has_whole = has(&is_whole);
        if has_whole && self.each.is_none() {
            Binding::Body
        } else if has_whole || has(&is_some) {
            Binding::Partial
        } else {
            Binding::Origin
        }
    }
}
