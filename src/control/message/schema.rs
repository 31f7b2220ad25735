//! What requests' data looks like, in JSON Schema: of the types that they are read into. Pure.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::{
    Card, CardEdit, CardIn, CardOnly, Clear, Image, Import, KeyId, NOT_ONCE, NewKey, Nothing, Practice,
    Price, Product, Reply, Sku, SourceIn, Stock, people, rundown,
};

/// The data of the request of this name; nothing when there is none.
pub fn schema(request: &str, generator: &mut SchemaGenerator) -> Option<Value> {
    let schema = match request {
        "GetState" | "GetTemplates" | "GetVersion" | "Undo" => of::<Nothing>(generator),
        "ShowCard" | "HideCard" | "ToggleCard" | "NextStep" | "SwapCard" | "AdvanceCard" => {
            of::<CardIn>(generator)
        }
        "UpdateCard" => with(of::<CardEdit>(generator), &["cardId"], &[]),
        "SetPrice" => of::<Price>(generator),
        "SetStock" => of::<Stock>(generator),
        "SetImage" => of::<Image>(generator),
        "SetPractice" => of::<Practice>(generator),
        "AnswerQuestion" => of::<Reply>(generator),
        "ClearAll" => of::<Clear>(generator),
        "PutProduct" => of::<Product>(generator),
        "RemoveProduct" => of::<Sku>(generator),
        "ImportProducts" => of::<Import>(generator),
        "PutCard" => of::<Card>(generator),
        "RemoveCard" => of::<CardOnly>(generator),
        "MakeStreamKey" => of::<NewKey>(generator),
        "RotateStreamKey" | "RevokeStreamKey" => of::<KeyId>(generator),
        "SetSource" => of::<SourceIn>(generator),
        other => return rundown::schema(other, generator).or_else(|| people::schema(other, generator)),
    };
    Some(schema)
}

/// What may stand in the data of a change beside its own fields.
pub fn common(request: &str) -> Vec<(&'static str, Value)> {
    let all = [
        (
            "ifRev",
            json!({ "type": ["integer", "null"], "minimum": 0,
            "description": "Only if what it overwrites was not changed after this revision." }),
        ),
        (
            "idempotencyKey",
            json!({ "type": ["string", "null"],
            "description": "A change with a key that was there before is not made again." }),
        ),
        ("skipAnimation", json!({ "type": ["boolean", "null"], "description": "Show it at once." })),
        (
            "confirmed",
            json!({ "type": ["boolean", "null"], "description": "Also a price that looks wrong." }),
        ),
    ];
    let has_meaning = |name: &str| match name {
        "idempotencyKey" => !NOT_ONCE.contains(&request),
        "ifRev" => !NOT_ONCE[2..].contains(&request),
        _ => true,
    };
    all.into_iter().filter(|(name, _)| has_meaning(name)).collect()
}

pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    T::json_schema(generator).to_value()
}

/// Further fields of text: those that must be there, and those that may.
pub(super) fn with(mut schema: Value, needed: &[&str], others: &[&str]) -> Value {
    for name in needed.iter().chain(others) {
        schema["properties"][*name] = json!({ "type": if needed.contains(name) { json!("string") } else { json!(["string", "null"]) } });
    }
    let known = schema["required"].as_array().cloned().unwrap_or_default();
    schema["required"] = known.into_iter().chain(needed.iter().map(|name| json!(name))).collect();
    schema
}

#[cfg(test)]
mod tests {
    use super::super::REQUESTS;
    use super::*;

    #[test]
    fn every_request_is_described() {
        let mut generator = SchemaGenerator::default();
        for request in REQUESTS {
            let schema = schema(request, &mut generator).unwrap_or_default();
            assert_eq!(schema["type"], "object", "{request}: {schema}");
        }
        assert!(schema("Dance", &mut generator).is_none());
    }
}
