//! The description of the admin API (OpenAPI): what each operation says of itself, and what holds for all of them.
//!
//! What stands around the routes and what reads their input may answer in their place. `complete` writes that down for each operation,
//! so that a new one cannot forget it.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use utoipa::openapi::{
    Components, ComponentsBuilder, Content, HeaderBuilder, InfoBuilder, LicenseBuilder, OpenApi,
    OpenApiBuilder, PathItem, Ref, RefOr, Required, ResponseBuilder, Schema, Type,
    path::Operation,
    response,
    schema::ObjectBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::web::{middleware::OPEN_PATHS, state::AdminState};

const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";

/// An answer that is not of one operation alone.
#[derive(Debug)]
struct Shared {
    status: StatusCode,
    name: &'static str,
    when: &'static str,
}

const SHARED: [Shared; 8] = [
    Shared {
        status: StatusCode::BAD_REQUEST,
        name: "BadRequest",
        when: "A parameter or the body is not what is expected here: the problem names it",
    },
    Shared {
        status: StatusCode::UNAUTHORIZED,
        name: "Unauthorized",
        when: "No token came along, or one that opens nothing (any more)",
    },
    Shared {
        status: StatusCode::FORBIDDEN,
        name: "Forbidden",
        when: "The role may not do this, or a page of another site asked for it",
    },
    Shared {
        status: StatusCode::REQUEST_TIMEOUT,
        name: "RequestTimeout",
        when: "The body came too slowly",
    },
    Shared {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        name: "ContentTooLarge",
        when: "The body has more bytes than are taken here",
    },
    Shared {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        name: "UnsupportedMediaType",
        when: "The body is of another content type than is taken here",
    },
    Shared {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        name: "InternalServerError",
        when: "gatepost failed; the log says more",
    },
    Shared {
        status: StatusCode::SERVICE_UNAVAILABLE,
        name: "ServiceUnavailable",
        when: "The store failed, or is away or full; the log says more",
    },
];

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(description))
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "service", operation_id = "openapi",
    responses((status = 200, content_type = "application/json")))]
async fn description(State(state): State<AdminState>) -> Response {
    let content_type = HeaderValue::from_static(JSON);
    ([(header::CONTENT_TYPE, content_type)], state.0.openapi.clone()).into_response()
}

/// Without any operation.
pub(crate) fn beginning() -> OpenApi {
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"))
        .build();
    let info = InfoBuilder::new()
        .title("gatepost")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The admin API of gatepost, a webhook receiver gateway. Errors are problems (RFC 9457) with a stable `code`.",
        ))
        .license(Some(license))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components()))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build()
}

fn components() -> Components {
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = ComponentsBuilder::new().security_scheme("token", bearer);
    let components = SHARED.iter().fold(components, |components, shared| {
        let mut answer = ResponseBuilder::new()
            .description(shared.when)
            .content(PROBLEM_JSON, Content::new(Some(Ref::from_schema_name("Problem"))));
        if shared.status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
            let retry_after = HeaderBuilder::new()
                .schema(Some(seconds))
                .description(Some("Seconds after which to come back, where that may help"));
            answer = answer.header("retry-after", retry_after.build());
        }
        components.response(shared.name, answer)
    });
    components.build()
}

/// With what may be answered in place of each operation, the content type that problems have, and whether a body must be sent.
pub(crate) fn complete(mut openapi: OpenApi) -> OpenApi {
    let schemas = openapi.components.as_ref().map(|it| it.schemas.clone());
    let schemas = schemas.unwrap_or_default();
    for (path, item) in &mut openapi.paths.paths {
        for operation in operations(item) {
            let is_open = OPEN_PATHS.contains(&path.as_str());
            if is_open {
                operation.security = Some(Vec::new());
            }
            if let Some(RefOr::T(body)) = &mut operation.request_body
                && body
                    .content
                    .get(JSON)
                    .is_some_and(|it| may_be_empty(it, &schemas))
            {
                body.required = Some(Required::False);
            }
            // What asks nobody, and takes nothing.
            let is_health = is_open && operation.parameters.is_none() && operation.request_body.is_none();
            for shared in &SHARED {
                if !is_health && may_answer(shared.status, operation, is_open) {
                    let answers = &mut operation.responses.responses;
                    answers
                        .entry(shared.status.as_str().to_owned())
                        .or_insert_with(|| Ref::from_response_name(shared.name).into());
                }
            }
            for (status, answer) in &mut operation.responses.responses {
                if let RefOr::T(answer) = answer {
                    tell(status, answer);
                }
            }
        }
    }
    openapi
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ];
    all.into_iter().flatten()
}

/// Whether an answer of this status may come in the operation's place.
fn may_answer(status: StatusCode, operation: &Operation, is_open: bool) -> bool {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => !is_open,
        StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            operation.request_body.is_some()
        }
        _ => true,
    }
}

/// Says of an answer what its status says already, where nobody said more.
fn tell(status: &str, answer: &mut response::Response) {
    if answer.description.is_empty() {
        let status = status
            .parse()
            .ok()
            .and_then(|it: StatusCode| it.canonical_reason());
        answer.description.push_str(status.unwrap_or("An answer"));
    }
    if answer.content.get(JSON).is_some_and(is_problem)
        && let Some(content) = answer.content.swap_remove(JSON)
    {
        answer.content.insert(PROBLEM_JSON.to_owned(), content);
    }
}

fn is_problem(content: &RefOr<Content>) -> bool {
    schema_name(content) == Some("Problem")
}

/// Whether `{}` is such a body: then none is one too (`web::extract::Input`).
fn may_be_empty(content: &RefOr<Content>, schemas: &BTreeMap<String, RefOr<Schema>>) -> bool {
    let schema = schema_name(content).and_then(|it| schemas.get(it));
    matches!(schema, Some(RefOr::T(Schema::Object(it))) if it.required.is_empty())
}

/// The schema's name among the components.
fn schema_name(content: &RefOr<Content>) -> Option<&str> {
    let RefOr::T(Content {
        schema: Some(RefOr::Ref(schema)),
        ..
    }) = content
    else {
        return None;
    };
    schema.ref_location.strip_prefix("#/components/schemas/")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::web::api;

    #[test]
    fn every_operation_says_what_may_come_in_its_place() {
        let openapi = complete(api::router().into_openapi());
        let openapi = serde_json::to_value(&openapi).unwrap();
        let statuses = |path: &str, method: &str| -> Vec<String> {
            let answers = openapi["paths"][path][method]["responses"].as_object().unwrap();
            answers.keys().cloned().collect()
        };
        assert_eq!(statuses("/livez", "get"), ["200"]);
        assert_eq!(statuses("/readyz", "get"), ["200", "503"]);
        let plain = ["200", "400", "401", "403", "500", "503"];
        assert_eq!(statuses("/v1/ledger", "get"), plain);
        let with_body = [
            "202", "400", "401", "403", "404", "408", "409", "413", "415", "500", "503",
        ];
        assert_eq!(statuses("/v1/events/{id}/replay", "post"), with_body);
        assert_eq!(
            openapi["paths"]["/login"]["post"]["security"],
            Value::Array(Vec::new())
        );
        assert_eq!(openapi["paths"]["/logout"]["post"].get("security"), None);
        let needs_body = |path: &str| &openapi["paths"][path]["post"]["requestBody"]["required"];
        assert_eq!(*needs_body("/v1/events/{id}/replay"), false);
        assert_eq!(*needs_body("/v1/jobs"), true, "there must be an `action`");
    }

    #[test]
    fn every_refusal_is_a_problem() {
        let openapi = serde_json::to_value(complete(api::router().into_openapi())).unwrap();
        let paths = openapi["paths"].as_object().unwrap();
        let operations = paths.values().flat_map(|it| it.as_object().unwrap().values());
        let answers = operations.flat_map(|it| it["responses"].as_object().unwrap());
        let mut n_refusals = 0;
        for (status, answer) in answers.filter(|(status, _)| status.as_str() >= "400") {
            // `/readyz` says in its own words what is not ready.
            let is_shared = answer.get("$ref").is_some();
            let types = answer.get("content").and_then(Value::as_object);
            let is_problem = types.is_some_and(|it| it.keys().eq([PROBLEM_JSON]));
            assert!(is_shared || is_problem || status == "503", "{status}: {answer}");
            n_refusals += 1;
        }
        assert!(n_refusals > 200, "{n_refusals}");
    }
}
