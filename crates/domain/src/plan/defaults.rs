//! What fields are when stored JSON does not say, and when they need not be stored.

/// `true`, for fields that are true unless they say otherwise.
pub(super) fn yes() -> bool {
    true
}

/// Whether a field is true, which is what its absence means.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn is_true(value: &bool) -> bool {
    *value
}

/// Whether a field says nothing.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
