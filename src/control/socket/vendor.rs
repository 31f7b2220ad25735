//! `CallVendorRequest`: how obs-websocket's typed clients, which know OBS's own requests alone, ask for others. The vendor is
//! `vitrine`; what is asked is the same as without it.
//!
//! Source: obs-websocket 5, `CallVendorRequest`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::error::{Error, Kind};
use super::super::{Doors, perform};

/// The request's name.
pub(in super::super) const REQUEST: &str = "CallVendorRequest";
/// Ours.
const VENDOR: &str = "vitrine";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    vendor_name: String,
    request_type: String,
    #[serde(default)]
    request_data: Option<Value>,
}

/// Does what is asked through it.
///
/// # Errors
/// [`Error`]; nothing has changed then.
pub(super) async fn call(doors: &Doors, data: Option<Value>) -> Result<Value, Error> {
    let call: Call = serde_json::from_value(data.unwrap_or_default()).map_err(|error| {
        Error::field(
            Kind::BadField,
            "requestData",
            format!("vendorName, requestType and requestData are wanted: {error}"),
        )
    })?;
    if call.vendor_name != VENDOR {
        return Err(Error::field(Kind::NotFound, "vendorName", format!("it is {VENDOR:?} here")));
    }
    let answer = perform::ask(doors, &call.request_type, call.request_data).await?;
    Ok(json!({ "vendorName": VENDOR, "requestType": call.request_type, "responseData": answer }))
}
