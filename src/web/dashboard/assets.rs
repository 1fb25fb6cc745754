//! The files that pages ask for. Each has its content's hash in its name, so that it may be kept for ever.

use std::sync::LazyLock;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use sha2::{Digest, Sha256};

use crate::web::{error::Problem, extract::Name};

/// Below which they are. They hold nothing that is anybody's, and the page that asks for a token needs them: no token is asked for.
pub(crate) const PREFIX: &str = "/assets/";

pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        include_bytes!("files/dashboard.css"),
        "css",
        "text/css; charset=utf-8",
    )
});
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let content_type = "text/javascript; charset=utf-8";
    Asset::new(include_bytes!("files/dashboard.js"), "js", content_type)
});
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(include_bytes!("files/gatepost.svg"), "svg", "image/svg+xml"));

#[derive(Debug)]
pub(super) struct Asset {
    /// Where it is.
    pub(super) path: String,
    content_type: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn new(bytes: &'static [u8], extension: &str, content_type: &'static str) -> Self {
        let hash = hex::encode(&Sha256::digest(bytes)[..6]);
        Self {
            path: format!("{PREFIX}gatepost-{hash}.{extension}"),
            content_type,
            bytes,
        }
    }
}

pub(super) async fn get(Name(name): Name) -> Result<Response, Problem> {
    let all = [&*STYLE, &*SCRIPT, &*ICON];
    let asset = all
        .into_iter()
        .find(|it| it.path.strip_prefix(PREFIX) == Some(&name))
        .ok_or_else(|| Problem::not_found("there is no such file; reload the page that asked for it"))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
    ];
    Ok((headers, Body::from(asset.bytes)).into_response())
}
