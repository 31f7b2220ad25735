//! The REST API as a table: each address with its handler and its words. The router and the description
//! ([`openapi`](super::openapi)) are made of the same rows, so that neither knows an address that the other does not.

use std::convert::Infallible;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path};
use axum::handler::Handler;
use axum::http::{HeaderMap, Method};
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::{Map, Value};

use super::Doors;
use super::error::{Error, Kind};
use super::http::Answer;
use super::people::door::Caller;
use super::perform;

/// Requests that change no revision of the state, or tell more than it.
const OTHERS: [&str; 5] = ["PutOperator", "RemoveOperator", "MakeToken", "RevokeToken", "ImportProducts"];

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    /// Nothing.
    None,
    /// The data of a request by this name, without what the path says.
    Request(&'static str),
    /// An object of this kind, in JSON Schema.
    Object(fn() -> Value),
    /// A file.
    File,
}

/// What an answer carries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gives {
    /// A JSON object.
    Object,
    /// The revision after a change.
    Rev,
    /// Nothing (204).
    Nothing,
    /// A file of this type.
    File(&'static str),
}

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) method: Method,
    /// Under `/api/v1`.
    pub(super) path: &'static str,
    /// The request by name that it does, or a name of its own.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) group: &'static str,
    pub(super) query: &'static [Parameter],
    pub(super) body: Takes,
    pub(super) gives: Gives,
}

/// What may stand behind the `?`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// JSON Schema's type.
    pub(super) kind: &'static str,
    /// If only some values are known.
    pub(super) values: &'static [&'static str],
}

/// A parameter of any value.
pub(super) const fn parameter(name: &'static str, kind: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, kind, values: &[] }
}

/// The rows, and the router that they make.
pub(super) struct Table {
    pub(super) router: Router<Doors>,
    pub(super) operations: Vec<Operation>,
    group: &'static str,
}

impl Table {
    /// An empty one.
    pub(super) fn new(group: &'static str) -> Self {
        Self { router: Router::new(), operations: Vec::new(), group }
    }

    /// A request by its name; what the path names is part of its data.
    pub(super) fn ask(
        self,
        method: Method,
        path: &'static str,
        name: &'static str,
        about: &'static str,
    ) -> Self {
        let is_look = method == Method::GET;
        let body = if is_look { Takes::None } else { Takes::Request(name) };
        let gives = if is_look || OTHERS.contains(&name) { Gives::Object } else { Gives::Rev };
        let handler = move |Caller(doors): Caller,
                            Path(names): Path<Vec<(String, String)>>,
                            headers: HeaderMap,
                            body: Bytes| async move {
            let mut data = if is_look { Map::new() } else { object(&body)? };
            let names = names.into_iter().map(|(key, value)| (wire_name(name, key), value.into()));
            data.extend(names);
            take_key(&headers, &mut data);
            ask(&doors, name, Value::Object(data)).await
        };
        self.row((method, path), name, about, (&[], body, gives), handler)
    }

    /// A handler of its own.
    pub(super) fn row<H, T>(
        mut self,
        (method, path): (Method, &'static str),
        name: &'static str,
        about: &'static str,
        (query, body, gives): (&'static [Parameter], Takes, Gives),
        handler: H,
    ) -> Self
    where
        H: Handler<T, Doors>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("methods of HTTP");
        let handler: MethodRouter<Doors, Infallible> = on(filter, handler);
        self.router = self.router.route(path, handler);
        let group = self.group;
        self.operations.push(Operation { method, path, name, about, group, query, body, gives });
        self
    }

    /// What follows is about something else.
    pub(super) fn group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// Bodies of these rows, at most.
    pub(super) fn most(mut self, bytes: usize) -> Self {
        self.router = self.router.layer(DefaultBodyLimit::max(bytes));
        self
    }

    /// These, and the rows of `other`.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }
}

/// The header is what `idempotencyKey` is in the data.
pub(super) fn take_key(headers: &HeaderMap, data: &mut Map<String, Value>) {
    if let Some(key) = headers.get("idempotency-key").and_then(|value| value.to_str().ok()) {
        data.entry("idempotencyKey").or_insert_with(|| key.into());
    }
}

/// Does a request by its name.
///
/// # Errors
/// [`Error`].
pub(super) async fn ask(doors: &Doors, request: &str, data: Value) -> Answer {
    perform::ask(doors, request, Some(data)).await.map(axum::Json)
}

/// What the path calls something, in the request's data.
fn wire_name(request: &str, name: String) -> String {
    // A card's own id, where others name it.
    if request == "PutCard" { "id".into() } else { name }
}

/// The body as an object.
///
/// # Errors
/// [`Error`] when it is none.
pub(super) fn object(body: &Bytes) -> Result<Map<String, Value>, Error> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(data)) => Ok(data),
        Ok(_) => Err(Error::plain(Kind::BadField, "the body is not a JSON object")),
        Err(error) => Err(Error::plain(Kind::BadField, format!("the body is not JSON: {error}"))),
    }
}
