//! `[admin.oidc]`.

use url::{Host, Url};

use crate::{
    base::secret::Secret,
    config::{
        error::Fault,
        process::secret_in,
        secrets::Literal,
        section::{Bad, Reading, Section},
        tree::Node,
        value::{self, Read},
    },
    web::{Role, oidc::Settings},
};

/// `None`: no issuer, so no single sign-on.
pub(super) fn oidc(admin: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<Settings>, Bad> {
    let Some(mut section) = admin.section("oidc", reading)? else {
        return Ok(None);
    };
    let issuer = section.read("issuer", reading, issuer);
    let client_id = section.read("client_id", reading, value::text);
    let client_secret = secret_in(
        &mut section,
        "client_secret",
        "admin.oidc.client_secret",
        Literal::Refused,
        reading,
    );
    let public_url = section.read("public_url", reading, value::public_url);
    let scopes = section.list("scopes", reading, scope);
    let name_claim = section.need("name_claim", reading, value::text);
    let groups_claim = section.need("groups_claim", reading, value::text);
    let has_roles = section.has("roles");
    let roles = roles(&mut section, reading);
    section.finish(reading);
    let (issuer, client_id, client_secret, public_url) = (issuer?, client_id?, client_secret?, public_url?);
    let (scopes, roles) = (scopes?, roles?);
    let is_begun = client_id.is_some() || client_secret.is_some() || public_url.is_some() || has_roles;
    if issuer.is_none() && !is_begun {
        return Ok(None);
    }
    let mut need = |is_there: bool, key: &str| {
        if is_there {
            Ok(())
        } else {
            Err(section.missing(key, reading))
        }
    };
    // All of them are told at once.
    let missing = [
        need(issuer.is_some(), "issuer"),
        need(client_id.is_some(), "client_id"),
        need(client_secret.is_some(), "client_secret"),
        need(public_url.is_some(), "public_url"),
        need(has_roles, "roles"),
    ];
    missing.into_iter().collect::<Result<(), Bad>>()?;
    if client_secret.as_ref().is_some_and(Secret::is_blank) {
        let fault = Fault::new(
            &section.place_of("client_secret"),
            "`admin.oidc.client_secret` is empty",
        );
        return Err(
            reading.fault(fault.hint("check that the variable or file it comes from is filled".to_owned()))
        );
    }
    if !scopes.iter().any(|it| it == "openid") {
        let fault = Fault::new(&section.place_of("scopes"), "`admin.oidc.scopes` has no `openid`")
            .label("expected \"openid\" among them: without it there is no ID token");
        return Err(reading.fault(fault));
    }
    if roles.iter().all(|(_, groups)| groups.is_empty()) {
        let fault = Fault::new(&section.place_of("roles"), "`admin.oidc.roles` lets nobody in")
            .label("expected a group for one of viewer, operator, admin");
        return Err(reading.fault(fault));
    }
    Ok(match (issuer, client_id, client_secret, public_url) {
        (Some(issuer), Some(client_id), Some(client_secret), Some(public_url)) => Some(Settings {
            issuer,
            client_id,
            client_secret,
            public_url,
            scopes,
            name_claim: name_claim?,
            groups_claim: groups_claim?,
            roles,
        }),
        _ => None,
    })
}

/// As it is written: the provider's tokens must call it so, letter by letter.
fn issuer(node: &Node) -> Read<String> {
    let is_here = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let expected =
        "an https URL without a query, as in \"https://login.example.com\"; http on this machine alone";
    let url = value::public_url(node).map_err(|it| value::Mismatch {
        expected: expected.to_owned(),
        ..it
    })?;
    match node.text() {
        Some(text) if url.scheme() == "https" || is_here(&url) => Ok(text.to_owned()),
        _ => value::mismatch(node, expected),
    }
}

/// What is sent with others, with spaces between them.
fn scope(node: &Node) -> Read<String> {
    let scope = value::text(node)?;
    if scope.bytes().all(|it| it.is_ascii_graphic()) {
        Ok(scope)
    } else {
        value::mismatch(node, "one scope, without spaces")
    }
}

fn roles(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Vec<(Role, Vec<String>)>, Bad> {
    let Some(mut roles) = section.section("roles", reading)? else {
        return Ok(Vec::new());
    };
    let mut groups = |key: &'static str, role| -> Result<_, Bad> {
        let groups = roles.list(key, reading, value::text)?;
        Ok((role, groups))
    };
    let all = [
        groups("viewer", Role::Viewer),
        groups("operator", Role::Operator),
        groups("admin", Role::Admin),
    ];
    roles.finish(reading);
    all.into_iter().collect()
}
