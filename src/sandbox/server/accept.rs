//! In which form the client wants an answer: whole objects, tables, or their metadata alone.

use axum::http::{HeaderMap, header};

use super::super::shape::{Form, Include};
use super::super::status::ApiError;

/// The first form of the Accept header that can be given. Error: 406.
pub fn form(headers: &HeaderMap, include: Option<&str>) -> Result<Form, ApiError> {
    let include = match include {
        None | Some("" | "Metadata") => Include::Metadata,
        Some("None") => Include::Nothing,
        Some("Object") => Include::Object,
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', 'None', or empty"
            )));
        }
    };
    for range in ranges(headers) {
        if !range.is_json() {
            continue;
        }
        match range.parameter("as") {
            None => return Ok(Form::Whole),
            Some("Table") if range.parameter("v") == Some("v1") => return Ok(Form::Table(include)),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if range.parameter("v") == Some("v1") => {
                return Ok(Form::Metadata);
            }
            Some(_) => {}
        }
    }
    Err(ApiError::not_acceptable("application/json, application/yaml, application/vnd.kubernetes.protobuf"))
}

/// Which form of metadata alone was asked for, if it is the one for a list where `list` is false, or the other way
/// round.
pub fn mistaken(headers: &HeaderMap, list: bool) -> Option<&'static str> {
    let wrong = if list { "PartialObjectMetadata" } else { "PartialObjectMetadataList" };
    let ranges = ranges(headers);
    let metadata = ranges.iter().find(|range| {
        range.is_json() && range.parameter("as").is_some_and(|form| form.starts_with("PartialObjectMetadata"))
    })?;
    (metadata.parameter("as") == Some(wrong)).then_some(wrong)
}

/// Whether the client takes one document with all of discovery in it.
pub fn takes_aggregated_discovery(headers: &HeaderMap) -> bool {
    ranges(headers).iter().any(|range| {
        range.is_json()
            && range.parameter("as") == Some("APIGroupDiscoveryList")
            && range.parameter("v") == Some("v2")
            && range.parameter("g") == Some("apidiscovery.k8s.io")
    })
}

struct Range<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Range<'a> {
    fn is_json(&self) -> bool {
        matches!(self.media, "application/json" | "application/*" | "*/*")
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

fn ranges(headers: &HeaderMap) -> Vec<Range<'_>> {
    let text = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let text = if text.trim().is_empty() { "*/*" } else { text };
    text.split(',')
        .map(|range| {
            let mut parts = range.split(';').map(str::trim);
            Range {
                media: parts.next().unwrap_or_default(),
                parameters: parts.filter_map(|part| part.split_once('=')).collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of(accept: &'static str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        form(&headers, None).ok()
    }

    #[test]
    fn the_first_form_that_can_be_given_is_given() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(of(kubectl), Some(Form::Table(Include::Metadata)));
        assert_eq!(of("application/vnd.kubernetes.protobuf, application/json"), Some(Form::Whole));
        assert_eq!(of("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"), Some(Form::Metadata));
        assert_eq!(of("application/json;as=Table;v=v9"), None);
        assert_eq!(of("text/html"), None);
        assert_eq!(of("*/*"), Some(Form::Whole));
    }
}
