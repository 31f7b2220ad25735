//! One table from what went wrong to obs-websocket's status codes and HTTP's. Pure.
//!
//! Source: obs-websocket 5, `RequestStatus`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::director;
use crate::state;
use crate::state::Doubt;

/// The kinds that clients can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No request type.
    MissingType,
    /// A request that is not known.
    UnknownType,
    /// A field is not there.
    MissingField,
    /// A field has the wrong type or a value that cannot be used.
    BadField,
    /// What it names is not there.
    NotFound,
    /// It does not fit the present state.
    Conflict,
    /// It failed here.
    Failed,
    /// Nobody is known to ask.
    Unauthorised,
    /// Whoever asks may not.
    Forbidden,
    /// Too often.
    TooMany,
}

impl Kind {
    /// obs-websocket's code.
    pub fn code(self) -> u16 {
        match self {
            Self::MissingType => 203,
            Self::UnknownType => 204,
            Self::MissingField => 300,
            Self::BadField => 400,
            Self::NotFound => 600,
            Self::Conflict => 604,
            Self::Failed => 702,
            Self::Unauthorised | Self::Forbidden => 703,
            Self::TooMany => 207,
        }
    }

    /// HTTP's.
    pub fn status(self) -> StatusCode {
        match self {
            Self::MissingType | Self::MissingField | Self::BadField => StatusCode::BAD_REQUEST,
            Self::UnknownType | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// Why a request was refused, for a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// Which kind.
    pub kind: Kind,
    /// The field at fault, as on the wire.
    pub field: Option<String>,
    /// The field and the reason.
    pub detail: String,
    /// What should be looked at twice, where `confirmed` is wanted.
    pub doubts: Vec<Doubt>,
}

impl Error {
    /// An error about `field`.
    pub fn field(kind: Kind, field: &str, reason: impl std::fmt::Display) -> Self {
        let detail = format!("{field}: {reason}");
        Self { kind, field: Some(field.to_owned()), detail, doubts: Vec::new() }
    }

    /// The channel is not there.
    pub fn no_channel(name: &str) -> Self {
        Self::field(Kind::NotFound, "channel", format!("there is no channel {name:?}"))
    }

    /// An error that is not about a field.
    pub fn plain(kind: Kind, detail: impl std::fmt::Display) -> Self {
        Self { kind, field: None, detail: detail.to_string(), doubts: Vec::new() }
    }
}

impl From<director::Error> for Error {
    fn from(error: director::Error) -> Self {
        let (kind, field) = match &error {
            director::Error::Refused(refusal) => {
                let kind = match refusal {
                    state::Error::Field { .. } => Kind::BadField,
                    state::Error::NotFound { .. } => Kind::NotFound,
                    state::Error::Conflict { .. } => Kind::Conflict,
                };
                (kind, Some(refusal.field().to_owned()))
            }
            director::Error::Undo(_) => (Kind::Conflict, None),
            director::Error::Forbidden(_) => (Kind::Forbidden, None),
            director::Error::Doubtful(_) => (Kind::Conflict, Some("confirmed".into())),
            director::Error::KeyReused => (Kind::Conflict, Some("idempotencyKey".into())),
            director::Error::Stale { .. } => (Kind::Conflict, Some("ifRev".into())),
            director::Error::Store(cause) => {
                tracing::error!("{error}: {cause}");
                (Kind::Failed, None)
            }
            director::Error::Stopped => (Kind::Failed, None),
        };
        let detail = error.to_string();
        let doubts = if let director::Error::Doubtful(doubts) = error { doubts } else { Vec::new() };
        Self { kind, field, detail, doubts }
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Doubt]>::is_empty")]
    doubts: &'a [Doubt],
}

/// The type of problem documents. Source: RFC 9457.
pub const PROBLEM: &str = "application/problem+json";

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, kind) = (self.kind.status(), self.kind);
        let problem = Problem {
            title: status.canonical_reason().unwrap_or("error"),
            status: status.as_u16(),
            detail: &self.detail,
            code: Some(kind.code()),
            field: self.field.as_deref(),
            doubts: &self.doubts,
        };
        let mut response = written(status, &problem);
        if kind == Kind::Unauthorised {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// What is refused by others than us.
pub fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("error");
    let detail = if detail.is_empty() { title } else { detail };
    written(status, &Problem { title, status: status.as_u16(), detail, code: None, field: None, doubts: &[] })
}

fn written(status: StatusCode, problem: &Problem) -> Response {
    let body = serde_json::to_string(problem).unwrap_or_else(|_| json!({ "status": 500 }).to_string());
    (status, [(header::CONTENT_TYPE, PROBLEM)], body).into_response()
}
