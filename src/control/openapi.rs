//! The API's description, made of the table that its router is made of and of the types that its requests are read into.
//!
//! Source: `OpenAPI` 3.1.0; RFC 9457 for errors.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::api::{Gives, Operation, Parameter, Takes};
use super::{message, triggers};

/// The whole document.
pub(super) fn document(operations: &[Operation]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for operation in operations {
        let told = told(operation, &mut generator);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_lowercase()] = told;
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".into(), problem());
    schemas.insert("Rev".into(), json!({
        "type": "object", "required": ["rev"],
        "properties": { "rev": { "type": "integer", "minimum": 0, "description": "The state's revision after it." } },
    }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Vitrine",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT", "identifier": "MIT" },
            "description": ABOUT,
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A program's token, or the owner's password." },
                "apikey": { "type": "apiKey", "in": "query", "name": "apikey", "description": "The same, for what can set no header." },
                "session": { "type": "apiKey", "in": "cookie", "name": "vitrine_session",
                    "description": "Of a browser that has signed in at /session; changes want our own Origin besides." },
            },
        },
    })
}

const ABOUT: &str = "The same requests go over the WebSocket /ws in obs-websocket 5's envelope. Amounts are integers in minor units with \
    an ISO 4217 code. Whatever is refused names the field and the reason, and nothing has changed then.";

fn told(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut told = json!({
        "operationId": id(operation),
        "summary": operation.about,
        "tags": [operation.group],
        "responses": answers(operation),
    });
    let mut parameters: Vec<Value> = names(operation.path).map(in_path).collect();
    parameters.extend(operation.query.iter().map(in_query));
    match operation.body {
        Takes::None => {}
        Takes::File => {
            let file = json!({ "type": "string", "format": "binary" });
            told["requestBody"] =
                json!({ "required": true, "content": { "application/octet-stream": { "schema": file } } });
        }
        Takes::Object(schema) => told["requestBody"] = of_json(schema()),
        Takes::Request(name) => {
            if let Some(schema) = body(name, operation.path, generator) {
                told["requestBody"] = of_json(schema);
            }
            // A draft that is only drawn changes nothing.
            if matches!(operation.gives, Gives::Rev) && !message::NOT_ONCE.contains(&name) {
                parameters.push(json!({
                "name": "Idempotency-Key", "in": "header", "required": false, "schema": { "type": "string", "maxLength": 200 },
                "description": "A change with a key that was there before is not made again.",
            }));
            }
        }
    }
    told["parameters"] = parameters.into();
    match operation.group {
        "Buttons" => told["security"] = json!([{ "token": [] }, { "apikey": [] }]),
        "Webhooks" => told["security"] = json!([]),
        _ => {}
    }
    told
}

/// Unique: some requests have several addresses.
fn id(operation: &Operation) -> String {
    format!("{}{}", operation.name, if operation.path.ends_with("/items") { "New" } else { "" })
}

fn of_json(schema: Value) -> Value {
    let is_needed = schema["required"].as_array().is_some_and(|names| !names.is_empty());
    json!({ "required": is_needed, "content": { "application/json": { "schema": schema } } })
}

/// The names in a path's braces.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

fn in_path(name: &str) -> Value {
    let example = match name {
        "channel" => "main",
        "rundownId" => "friday",
        "template" => "product",
        "name" => "Mei",
        "itemVerb" => "play",
        "rundownVerb" => "take",
        "hook" => "shop",
        _ => "cup",
    };
    let mut schema = json!({ "type": "string", "minLength": 1 });
    match name {
        "itemVerb" => schema["enum"] = json!(triggers::ITEM_VERBS),
        "rundownVerb" => schema["enum"] = json!(triggers::RUNDOWN_VERBS),
        _ => {}
    }
    json!({ "name": name, "in": "path", "required": true, "schema": schema, "example": example })
}

fn in_query(parameter: &Parameter) -> Value {
    let mut schema = json!({ "type": parameter.kind });
    if !parameter.values.is_empty() {
        schema["enum"] = json!(parameter.values);
    }
    json!({ "name": parameter.name, "in": "query", "required": false, "schema": schema, "description": parameter.about })
}

/// The data of a request, without what the path names.
fn body(request: &str, path: &str, generator: &mut SchemaGenerator) -> Option<Value> {
    let mut schema = message::schema(request, generator)?;
    let named: Vec<&str> = names(path).map(|name| if request == "PutCard" { "id" } else { name }).collect();
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| !named.contains(&name.as_str().unwrap_or_default()));
    }
    let properties =
        schema.as_object_mut()?.entry("properties").or_insert_with(|| json!({})).as_object_mut()?;
    for name in named {
        properties.remove(name);
    }
    for (name, value) in message::common(request) {
        properties.insert(name.to_owned(), value);
    }
    Some(schema)
}

fn answers(operation: &Operation) -> Value {
    let well = match operation.gives {
        Gives::Nothing => json!({ "description": "Done." }),
        Gives::File(kind) => {
            json!({ "description": "The file.", "content": { kind: { "schema": { "type": "string", "format": "binary" } } } })
        }
        Gives::Object => {
            json!({ "description": "What was asked.", "content": { "application/json": { "schema": { "type": "object" } } } })
        }
        Gives::Rev => {
            let schema = json!({ "$ref": "#/components/schemas/Rev" });
            json!({ "description": "Done.", "content": { "application/json": { "schema": schema } } })
        }
    };
    let status = if matches!(operation.gives, Gives::Nothing) { "204" } else { "200" };
    let mut answers = json!({ status: well });
    for (status, about) in [
        ("400", "A field is missing or wrong."),
        ("401", "Nobody is known to ask."),
        ("403", "The role may not."),
        ("404", "What it names is not there."),
        ("409", "It does not fit the present state, or wants a confirmation."),
        ("413", "The body is too large."),
        ("429", "Too often."),
        ("500", "It failed here."),
    ] {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        answers[status] =
            json!({ "description": about, "content": { "application/problem+json": { "schema": schema } } });
    }
    answers
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["title", "status", "detail"],
        "properties": {
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "The field and the reason." },
            "code": { "type": "integer", "description": "obs-websocket's RequestStatus." },
            "field": { "type": "string", "description": "The field at fault, as on the wire." },
            "doubts": { "type": "array", "items": { "type": "object" }, "description": "What `confirmed` would confirm: sku, field and reason of each." },
        },
    })
}
