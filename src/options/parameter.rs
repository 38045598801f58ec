//! What a parameter is: its name, its bounds, its effect, and where it goes.

use super::Options;
use super::value::Value;

/// A parameter of the query string.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The values that it may have.
    pub allowed: &'static str,
    /// What it does.
    pub effect: &'static str,
    /// Sets the option, unless the value is not allowed.
    pub(super) set: fn(&mut Options, &Value<'_>) -> Option<()>,
}

/// Parameters that belong together.
#[derive(Debug)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// The parameters, in the order of the README's table.
    pub parameters: &'static [Parameter],
}

/// A row of the table.
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

/// Sets an option, if there is a value for it.
pub(super) fn set<T>(option: &mut Option<T>, value: Option<T>) -> Option<()> {
    *option = Some(value?);
    Some(())
}
