//! `/v1/config`: what is in force, and where it was said. Of secrets, enough to tell two apart.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::secret::Secret,
    registry::Snapshot,
    web::{
        error::{Problem, ProblemJson},
        extract::{Json, Params},
        settings::Setting,
        state::{Admin, AdminState},
    },
};

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(get))
}

/// The settings of the asked process.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfigJson {
    /// When it was read.
    pub(crate) read_at: String,
    /// Null: there is no file, and the defaults hold.
    pub(crate) file: Option<String>,
    /// What is in force, in the order of the keys.
    pub(crate) settings: Vec<SettingJson>,
    /// What was changed since the start and takes a restart.
    pub(crate) pending: Vec<SettingJson>,
    /// What `gatepost check` warns of.
    pub(crate) warnings: Vec<String>,
    pub(crate) secrets: Vec<SecretJson>,
}

/// A key and its value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingJson {
    /// Dotted: `server.listen`.
    pub(crate) key: String,
    /// As TOML. References are shown, what they refer to is not.
    pub(crate) value: String,
    /// Where it was said: `default`, `file`, `flag`, or the name of an environment variable.
    pub(crate) place: String,
}

impl From<&Setting> for SettingJson {
    fn from(it: &Setting) -> Self {
        Self {
            key: it.key.clone(),
            value: it.value.clone(),
            place: it.place.clone(),
        }
    }
}

/// A secret, without itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretJson {
    /// Where it stands in the config: `sources.stripe.secrets[0]`.
    pub(crate) key: String,
    /// The first eight digits of its SHA-256: `printf %s "$SECRET" | sha256sum | cut -c1-8`.
    pub(crate) fingerprint: String,
}

/// The config in force, with where each value was said, and the fingerprints of secrets.
#[utoipa::path(get, path = "/v1/config", tag = "setup", operation_id = "get_config",
    responses((status = 200, body = ConfigJson), (status = 403, body = ProblemJson<'_>)))]
async fn get(State(state): State<AdminState>, params: Params) -> Result<Json<ConfigJson>, Problem> {
    params.finish()?;
    Ok(Json(config(&state.0)))
}

pub(crate) fn config(state: &Admin) -> ConfigJson {
    let effective = state.config.current();
    let settings = |them: &[Setting]| them.iter().map(SettingJson::from).collect();
    ConfigJson {
        read_at: effective.read_at.to_string(),
        file: effective.file.clone(),
        settings: settings(&effective.settings),
        pending: settings(&effective.pending),
        warnings: effective.warnings.clone(),
        secrets: secrets(&state.registry.current()),
    }
}

/// Of sources and destinations, as they are used. Header values are left out: a short one could be guessed.
fn secrets(snapshot: &Snapshot) -> Vec<SecretJson> {
    let mut res = Vec::new();
    let mut add = |key: String, secret: &Secret| {
        res.push(SecretJson {
            key,
            fingerprint: secret.fingerprint(),
        });
    };
    for (name, source) in &snapshot.sources {
        let settings = source.settings();
        for (idx, secret) in settings.secrets.iter().enumerate() {
            add(format!("sources.{name}.secrets[{idx}]"), secret);
        }
        if let Some(token) = &settings.verify_token {
            add(format!("sources.{name}.verify_token"), token);
        }
    }
    for (name, outlet) in &snapshot.destinations {
        let settings = &outlet.settings;
        if let Some(secret) = &settings.signing_secret {
            add(format!("destinations.{name}.signing_secret"), secret);
        }
        for (idx, secret) in settings.signing_secrets.iter().enumerate() {
            add(format!("destinations.{name}.signing_secrets[{idx}]"), secret);
        }
    }
    res
}
