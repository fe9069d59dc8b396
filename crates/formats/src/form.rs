//! The JSON text of a request body: the body itself, or the form field `payload`.
//!
//! Form fields are decoded to bytes here, not to text, so that invalid UTF-8 is refused by the JSON reader
//! and not replaced on the way (hostile-inputs.md W9, W19).

use std::borrow::Cow;

use crate::Limits;
use crate::error::{FormError, PushError};
use crate::json::JsonError;

/// The JSON document of a body.
///
/// A body that begins with `{` is JSON whatever its content type says, since `curl -d` calls everything a
/// form. Other bodies are forms when the content type or their first bytes say so.
pub(crate) fn json_text<'a>(
    content_type: Option<&str>,
    body: &'a [u8],
    limits: &Limits,
) -> Result<Cow<'a, [u8]>, PushError> {
    if body.len() > limits.body_bytes {
        return Err(JsonError::TooLarge {
            bytes: body.len(),
            limit: limits.body_bytes,
        }
        .into());
    }
    let is_json = body.trim_ascii_start().first() == Some(&b'{');
    if is_json || !(is_form(content_type) || body.starts_with(b"payload=")) {
        return Ok(Cow::Borrowed(body));
    }
    Ok(Cow::Owned(payload_field(body)?))
}

fn is_form(content_type: Option<&str>) -> bool {
    let essence = content_type
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn payload_field(body: &[u8]) -> Result<Vec<u8>, FormError> {
    let mut payloads = body
        .split(|byte| *byte == b'&')
        .filter_map(|pair| pair.strip_prefix(b"payload="));
    let payload = payloads.next().ok_or(FormError::NoPayload)?;
    if payloads.next().is_some() {
        return Err(FormError::SeveralPayloads);
    }
    percent_decode(payload)
}

fn percent_decode(encoded: &[u8]) -> Result<Vec<u8>, FormError> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2).ok_or(FormError::Encoding)?;
                let mut value = [0];
                hex::decode_to_slice(digits, &mut value).map_err(|_| FormError::Encoding)?;
                decoded.push(value[0]);
                rest = after;
            }
            _ => decoded.push(byte),
        }
    }
    Ok(decoded)
}
