//! `[sources.NAME]`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use url::Url;

use crate::{
    base::secret::Secret,
    config::{
        error::Fault,
        secrets::{self, Literal},
        section::{Bad, Reading, Section},
        tree::Node,
        value::{self, DAY, shown},
    },
    provider::{
        self, Provider,
        published::{Address, Form, Published},
        recipe::{
            self, Places,
            credentials::{self, BasicRecipe, TokenRecipe},
            hmac::{self, HmacRecipe},
        },
    },
    source::{
        self,
        redact::{Pointer, Redact},
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// The recipes of a source that no preset fits.
struct Recipes {
    hmac: Option<HmacRecipe>,
    token: Option<TokenRecipe>,
    basic: Option<BasicRecipe>,
}

/// What the rest of the config says of every source.
pub(super) struct Surroundings {
    pub(super) public_url: Option<Url>,
    pub(super) ask_senders: bool,
}

pub(super) fn source(
    name: &str,
    node: &Node,
    surroundings: &Surroundings,
    reading: &mut Reading<'_>,
) -> Result<source::Settings, Bad> {
    let mut section = Section::of(node, format!("sources.{name}"), "sources.*", reading)?;
    let provider_name = section.need("provider", reading, value::text);
    let secrets = secrets_of(&mut section, reading);
    let is_unverified = section.read("unverified", reading, value::boolean);
    let keys = ["public_key", "certificate", "organization_id"].map(|it| option(&mut section, it, reading));
    let jwks = option(&mut section, "jwks", reading);
    let jwks_url = section.read("jwks_url", reading, value::keys_url);
    let mut options = options(&mut section, reading);
    let verify_token = option(&mut section, "verify_token", reading);
    let tolerance = section.read("tolerance", reading, value::duration(SECOND, 7 * DAY));
    let max_body = section.read("max_body", reading, value::size(1, 1 << 30));
    let rate = section.read("rate", reading, value::rate);
    let redact = redact(&mut section, reading);
    let places = places(&mut section, reading);
    let recipes = recipes(&mut section, reading);
    let provider = match (provider_name, recipes, places) {
        (Ok(name), Ok(recipes), Ok(places)) => build(&name, &recipes, &places, &mut section, reading),
        _ => Err(Bad),
    };
    let [public_key, certificate, organization_id] = keys;
    let mut keys = vec![certificate, organization_id];
    // Braintree's names a key and is none.
    match (&provider, &mut options, public_key) {
        (Ok(provider), Ok(options), Ok(Some(name))) if provider.options().contains("public_key") => {
            let text = name.expose_str().unwrap_or_default();
            options.insert("public_key".to_owned(), text.to_owned());
        }
        (_, _, key) => keys.push(key),
    }
    let provider = match (provider, options) {
        (Ok(provider), Ok(options)) => with_options(provider, &options, &section, reading),
        _ => Err(Bad),
    };
    let (provider, jwks) = match (provider, jwks, jwks_url) {
        (Ok(provider), Ok(jwks), Ok(url)) => {
            let set = keys_of_set(&provider, jwks.as_ref(), &section, reading);
            (with_keys_at(provider, url, surroundings, &section, reading), set)
        }
        (provider, ..) => (provider.and(Err(Bad)), Err(Bad)),
    };
    let agrees = match (&provider, is_unverified) {
        (Ok(provider), Ok(is_unverified)) => {
            check_unverified(provider, is_unverified.unwrap_or(false), &mut section, reading)
        }
        _ => Err(Bad),
    };
    section.finish(reading);
    agrees?;
    Ok(source::Settings {
        name: name.to_owned(),
        provider: provider?,
        secrets: {
            let mut secrets = secrets?;
            for key in keys {
                secrets.extend(key?);
            }
            secrets.extend(jwks?);
            secrets
        },
        verify_token: verify_token?,
        tolerance: tolerance?,
        max_body: max_body?,
        rate: rate?,
        public_url: surroundings.public_url.clone(),
        redact: redact?,
    })
}

/// What people are not shown.
fn redact(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Redact, Bad> {
    let Some(mut table) = section.section("redact", reading)? else {
        return Ok(Redact::default());
    };
    let body = table.list("body", reading, |node| {
        let pointer = node.text().and_then(Pointer::parse);
        pointer.map_or_else(
            || value::mismatch(node, "a JSON pointer, as in \"/card/number\""),
            Ok,
        )
    });
    let headers = table.list("headers", reading, value::text);
    let query = table.list("query", reading, value::text);
    table.finish(reading);
    Ok(Redact::new(body?, &headers?).hiding_query(query?))
}

/// One of the options that a provider may have beside `secrets`: text, or a reference.
fn option(
    section: &mut Section<'_>,
    key: &'static str,
    reading: &mut Reading<'_>,
) -> Result<Option<Secret>, Bad> {
    let path = section.path_of(key);
    let shape = format!("sources.*.{key}");
    let node = section.node(key, reading);
    node.map(|it| secrets::secret(it, &path, &shape, Literal::Allowed, reading))
        .transpose()
}

/// The options that stand in what is signed, or tell whose request it is.
fn options(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<BTreeMap<String, String>, Bad> {
    let mut options = BTreeMap::new();
    let names: BTreeSet<_> = provider::all().iter().flat_map(Provider::options).collect();
    // Only Braintree's is no key: see `source`.
    for key in names.into_iter().filter(|it| *it != "public_key") {
        let value = option(section, key, reading)?;
        let text = value.as_ref().and_then(Secret::expose_str);
        options.extend(text.map(|it| (key.to_owned(), it.to_owned())));
    }
    Ok(options)
}

fn with_options(
    provider: Provider,
    options: &BTreeMap<String, String>,
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Provider, Bad> {
    let name = provider.name.clone();
    for wanted in provider.options() {
        if !options.contains_key(wanted) {
            let problem = format!("`{}` is missing, which `{name}` needs", section.path_of(wanted));
            let hint = format!("`gatepost providers {name}` says where to find it");
            return Err(reading.fault(Fault::new(&section.place_of("provider"), problem).hint(hint)));
        }
    }
    if let Some(unused) = options
        .keys()
        .find(|it| !provider.options().contains(it.as_str()))
    {
        let problem = format!(
            "`{}` has no use here: `{name}` has no such option",
            section.path_of(unused)
        );
        return Err(
            reading.fault(Fault::new(&section.place_of(unused), problem).hint("leave it out".to_owned()))
        );
    }
    Ok(provider.with_options(options))
}

/// The keys of `jwks`.
fn keys_of_set(
    provider: &Provider,
    jwks: Option<&Secret>,
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Vec<Secret>, Bad> {
    let Some(jwks) = jwks else {
        return Ok(Vec::new());
    };
    provider.secrets_of_set(jwks.expose()).map_err(|problem| {
        let path = section.path_of("jwks");
        reading.fault(Fault::new(
            &section.place_of("jwks"),
            format!("`{path}` is of no use: {problem}"),
        ))
    })
}

/// Where the keys of `provider` are fetched, if anything is.
fn with_keys_at(
    mut provider: Provider,
    url: Option<Url>,
    surroundings: &Surroundings,
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Provider, Bad> {
    if let Some(url) = url {
        let path = section.path_of("jwks_url");
        let problem = if !provider.has_public_keys() {
            format!(
                "`{path}` has no use here: `{}` signs with no public key",
                provider.name
            )
        } else if !surroundings.ask_senders {
            format!("`{path}` has no use: `ingest.ask_senders` is false")
        } else {
            let form = match provider.published.take().map(|it| it.form) {
                Some(form @ Form::Jwks { .. }) => form,
                _ => Form::Jwks { id: None },
            };
            let at = Address::Own(url.to_string().into());
            provider.published = Some(Published { at, form });
            return Ok(provider);
        };
        let fault = Fault::new(&section.place_of("jwks_url"), problem).hint("leave it out".to_owned());
        return Err(reading.fault(fault));
    }
    Ok(if surroundings.ask_senders {
        provider
    } else {
        provider.without_asking()
    })
}

fn secrets_of(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Vec<Secret>, Bad> {
    let path = section.path_of("secrets");
    let items = section.items("secrets", reading)?;
    let read_one = |(idx, node)| {
        secrets::secret(
            node,
            &format!("{path}[{idx}]"),
            "sources.*.secrets[]",
            Literal::Refused,
            reading,
        )
    };
    // All of them are read before the first fault ends it.
    let secrets: Vec<_> = items.iter().enumerate().map(read_one).collect();
    secrets.into_iter().collect()
}

fn places(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Places, Bad> {
    let event_id = section.read("event_id", reading, value::text);
    let event_type = section.read("event_type", reading, value::text);
    let event_time = section.read("event_time", reading, value::text);
    let event_resource = section.read("event_resource", reading, value::text);
    Ok(Places {
        event_id: event_id?,
        event_type: event_type?,
        event_time: event_time?,
        event_resource: event_resource?,
    })
}

fn recipes(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Recipes, Bad> {
    let hmac = section
        .section("hmac", reading)
        .map(|it| it.map(|it| hmac(it, reading)));
    let token = section
        .section("token", reading)
        .map(|it| it.map(|it| token(it, reading)));
    let basic = section
        .section("basic", reading)
        .map(|it| it.map(|it| it.finish(reading)));
    Ok(Recipes {
        hmac: hmac?.transpose()?,
        token: token?.transpose()?,
        basic: basic?.map(|()| BasicRecipe {}),
    })
}

fn hmac(mut section: Section<'_>, reading: &mut Reading<'_>) -> Result<HmacRecipe, Bad> {
    let hash = section.read("hash", reading, value::text);
    let header = section.read("header", reading, value::text);
    let prefix = section.read("prefix", reading, value::any_text);
    let encoding = section.read("encoding", reading, value::text);
    let signed = section.read("signed", reading, value::text);
    let timestamp_header = section.read("timestamp_header", reading, value::text);
    let timestamp_unit = section.read("timestamp_unit", reading, value::text);
    let secret_encoding = section.read("secret_encoding", reading, value::text);
    let separator = section.read("separator", reading, value::any_text);
    let field = section.read("field", reading, value::text);
    let timestamp_field = section.read("timestamp_field", reading, value::text);
    let tolerance = section.read("tolerance", reading, value::duration(SECOND, 7 * DAY));
    section.finish(reading);
    Ok(HmacRecipe {
        hash: hash?,
        header: header?,
        prefix: prefix?,
        encoding: encoding?,
        signed: signed?,
        timestamp_header: timestamp_header?,
        timestamp_unit: timestamp_unit?,
        secret_encoding: secret_encoding?,
        separator: separator?,
        field: field?,
        timestamp_field: timestamp_field?,
        tolerance: tolerance?,
        ..HmacRecipe::default()
    })
}

fn token(mut section: Section<'_>, reading: &mut Reading<'_>) -> Result<TokenRecipe, Bad> {
    let header = section.read("header", reading, value::text);
    let prefix = section.read("prefix", reading, value::any_text);
    let query = section.read("query", reading, value::text);
    section.finish(reading);
    Ok(TokenRecipe {
        header: header?,
        prefix: prefix?,
        query: query?,
        ..TokenRecipe::default()
    })
}

/// The provider that the name means: a generic one made from its recipe, or a row of the catalog.
fn build(
    name: &str,
    recipes: &Recipes,
    places: &Places,
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Provider, Bad> {
    let given = [
        ("hmac", recipes.hmac.is_some()),
        ("token", recipes.token.is_some()),
        ("basic", recipes.basic.is_some()),
    ];
    for (recipe, _) in given
        .iter()
        .filter(|(recipe, is_given)| *is_given && *recipe != name)
    {
        let path = section.path_of(recipe);
        let place = section.place_of(recipe);
        let fault = Fault::new(&place, format!("`{path}` has no use here")).label(format!(
            "expected it only beside provider = \"{recipe}\", found provider = \"{}\"",
            shown(name)
        ));
        reading.fault(fault);
    }
    let built = match name {
        "hmac" => hmac::hmac(&recipes.hmac.clone().unwrap_or_default(), places),
        "token" => credentials::token(&recipes.token.clone().unwrap_or_default(), places),
        "basic" => credentials::basic(&recipes.basic.clone().unwrap_or_default(), places),
        _ => match provider::find(name) {
            Some(provider) => recipe::with_places(provider, places),
            None => return Err(unknown_provider(name, section, reading)),
        },
    };
    built.map_err(|faults| {
        for it in faults {
            let is_of_recipe =
                given.iter().any(|(recipe, _)| *recipe == name) && !it.key.starts_with("event_");
            let key = match it.key.strip_prefix(name).and_then(|it| it.strip_prefix('.')) {
                Some(key) => format!("{name}.{key}"),
                None if is_of_recipe => format!("{name}.{}", it.key),
                None => it.key,
            };
            let place = section.place_of(&key);
            let problem = format!("`{}`: {}", section.path_of(&key), it.problem);
            reading.fault(Fault::new(&place, problem).hint(it.hint));
        }
        Bad
    })
}

fn unknown_provider(name: &str, section: &Section<'_>, reading: &mut Reading<'_>) -> Bad {
    let hint = match provider::nearest(name) {
        Some(near) => format!("did you mean \"{near}\"? `gatepost providers` lists them all"),
        None => "`gatepost providers` lists them all; any other sender fits \"hmac\", \"token\" or \"basic\""
            .to_owned(),
    };
    let problem = format!("unknown provider `{}`", shown(name));
    reading.fault(Fault::new(&section.place_of("provider"), problem).hint(hint))
}

/// Nobody takes unsigned requests without having said so.
fn check_unverified(
    provider: &Provider,
    is_said: bool,
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<(), Bad> {
    let name = &provider.name;
    let is_generic = name == "unverified";
    if provider.is_unverified() && !is_generic && !is_said {
        let fault = Fault::new(
            &section.place_of("provider"),
            format!("`{name}` signs nothing: anybody could post here"),
        )
        .label(format!(
            "expected `unverified = true` beside it in `{}`",
            section.path
        ))
        .hint("write unverified = true if that is what you want".to_owned());
        return Err(reading.fault(fault));
    }
    if !provider.is_unverified() && is_said {
        let fault = Fault::new(
            &section.place_of("unverified"),
            format!(
                "`{}` says `unverified`, but `{name}` verifies its requests",
                section.path
            ),
        )
        .hint("leave this line out and give its `secrets`, or write provider = \"unverified\"".to_owned());
        return Err(reading.fault(fault));
    }
    Ok(())
}
