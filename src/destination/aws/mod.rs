//! Services of AWS, and what speaks like them: each call is one signed request through the guard of `egress`.
//!
//! The signature is made by AWS's own crate; their SDKs would bring clients, retries and credentials from places that nobody named
//! (the metadata address among them), and more than a hundred crates.

pub mod batch;
pub mod envelope;
pub mod eventbridge;
pub mod line;
pub mod refusal;
pub mod s3;
pub mod sns;
pub mod sqs;

use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use bytes::Bytes;
use time::OffsetDateTime;

use crate::{
    base::{
        clock::{Timestamp, wall_now},
        secret::Secret,
    },
    destination::{
        Fate, Fault, Response, SendError, Settings,
        aws::refusal::Refusal,
        broker::AwsAccount,
        check::Trust,
        headers::USER_AGENT,
        http::{self, MAX_READ},
    },
    egress::{
        client::{Answer, Call, Client},
        guard::Reach,
        target::Target,
    },
    event::headers::Headers,
};

/// One service, in one account's name.
#[derive(Debug, Clone)]
pub struct Aws {
    client: Client,
    /// As signatures name it.
    service: &'static str,
    /// As people do.
    title: &'static str,
    region: String,
    credentials: Credentials,
    timeout: Duration,
}

impl Aws {
    /// `table` is where the settings stand, for faults.
    pub fn new(
        table: &str,
        service: &'static str,
        title: &'static str,
        account: &AwsAccount,
        settings: &Settings,
        trust: Trust,
    ) -> Result<Self, Fault> {
        let text = |key: &str, secret: &Secret| {
            let text = secret
                .expose_str()
                .filter(|it| it.bytes().all(|c| c.is_ascii_graphic()));
            text.map(str::to_owned).ok_or_else(|| {
                let problem = "it holds a blank or another character that no such key has";
                Fault::new(
                    format!("{table}.{key}"),
                    problem,
                    "check the variable or file it comes from",
                )
            })
        };
        let session_token = account.session_token.as_ref();
        let credentials = Credentials::new(
            text("access_key_id", &account.access_key_id)?,
            text("secret_access_key", &account.secret_access_key)?,
            session_token.map(|it| text("session_token", it)).transpose()?,
            None,
            "gatepost",
        );
        Ok(Self {
            client: http::client(table, settings, trust, Reach::Private)?,
            service,
            title,
            region: account.region.clone(),
            credentials,
            timeout: settings.timeout,
        })
    }

    /// A call whose answer is a success; any other is sorted by what it means.
    pub async fn call(
        &self,
        method: Method,
        target: &Target,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, SendError> {
        headers.insert(header::USER_AGENT, USER_AGENT);
        self.sign(&method, target, &mut headers, &body, wall_now())?;
        let call = Call {
            method,
            target,
            headers,
            body,
            timeout: self.timeout,
            max_body: MAX_READ,
        };
        let answer = self.client.send(call).await.map_err(http::failed)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(Refusal::read(&answer).into_error(self.title))
    }

    /// It answered what no such service answers.
    pub fn unclear(&self) -> SendError {
        let explanation = format!(
            "what answered is no {}: it names nothing that it took",
            self.title
        );
        SendError::new("protocol", explanation, Fate::Ambiguous)
    }

    fn sign(
        &self,
        method: &Method,
        target: &Target,
        headers: &mut HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), SendError> {
        let failed = |problem: String| {
            let explanation = format!("the call of {} cannot be signed: {problem}", self.title);
            SendError::new("signing", explanation, Fate::Retriable)
        };
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(SystemTime::from(OffsetDateTime::from(now)))
            .settings(self.signing_settings())
            .build()
            .map_err(|e| failed(e.to_string()))?
            .into();
        let signed = headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let request = SignableRequest::new(
            method.as_str(),
            target.url().as_str(),
            signed,
            SignableBody::Bytes(body),
        );
        let signed = request.and_then(|it| sign(it, &params));
        let (instructions, _) = signed.map_err(|e| failed(e.to_string()))?.into_parts();
        for it in instructions.into_parts().0 {
            let mut value = HeaderValue::try_from(it.value()).map_err(|e| failed(e.to_string()))?;
            value.set_sensitive(it.sensitive());
            headers.insert(HeaderName::from_static(it.name()), value);
        }
        Ok(())
    }

    /// S3 takes a path as it stands, and wants the hash of what comes.
    fn signing_settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }
}

/// It took the event, and calls it so.
fn taken(name: &str) -> Response {
    Response {
        status: None,
        headers: Headers::default(),
        body: Bytes::copy_from_slice(name.as_bytes()),
    }
}

/// More than the service takes, whenever it is sent.
fn too_large(title: &str, len: usize, limit: usize) -> SendError {
    let explanation =
        format!("it has {len} bytes with all that goes along, and {title} takes {limit} at most");
    SendError::new("too_large", explanation, Fate::Permanent)
}
