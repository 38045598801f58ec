//! A parameter: name, bounds, effect, and the option that a value sets.

use super::Options;
use super::value::Value;

/// A parameter of the query string.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The allowed values.
    pub allowed: &'static str,
    /// The effect.
    pub effect: &'static str,
    /// Sets the option; `None` if the value is not allowed.
    pub(super) set: fn(&mut Options, &Value<'_>) -> Option<()>,
}

/// Returns a row of the table.
pub(super) const fn row(
    name: &'static str,
    allowed: &'static str,
    effect: &'static str,
    set: fn(&mut Options, &Value<'_>) -> Option<()>,
) -> Parameter {
    Parameter {
        name,
        allowed,
        effect,
        set,
    }
}

/// Sets `option`; `None` if there is no value.
pub(super) fn set<T>(option: &mut Option<T>, value: Option<T>) -> Option<()> {
    *option = Some(value?);
    Some(())
}
