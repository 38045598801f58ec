//! Which parameters exclude or need each other.

use super::{End, Options, WITHOUT_BODY};

/// A parameter, the values that are allowed where its row in the table does not say so, and whether
/// the options break that rule.
pub(super) type Conflict = (&'static str, Option<&'static str>, fn(&Options) -> bool);

const NO_WIRE: Option<&str> = Some("not with wire");

const BODY: &str = "with wire: 200 to 599 except 204, 205 and 304, which have no body";

/// All rules; the first that is broken is reported.
#[rustfmt::skip]
pub(super) const CONFLICTS: &[Conflict] = &[
    ("interval", None, |it| it.interval == Some(0) && !has_wire(it)),
    ("data", NO_WIRE, |it| has_wire(it) && it.script.data.is_some()),
    ("event", NO_WIRE, |it| has_wire(it) && it.script.event.is_some()),
    ("retry", NO_WIRE, |it| has_wire(it) && it.script.retry.is_some()),
    ("eol", NO_WIRE, |it| has_wire(it) && it.script.framing.eol.is_some()),
    ("bom", NO_WIRE, |it| has_wire(it) && it.script.framing.bom),
    ("size", NO_WIRE, |it| has_wire(it) && it.script.size.is_some()),
    ("echo", NO_WIRE, |it| has_wire(it) && it.script.echo),
    ("count", NO_WIRE, |it| has_wire(it) && it.script.count.is_some()),
    ("comment", Some("0 with wire"), |it| has_wire(it) && it.script.comment.is_some_and(|it| !it.is_zero())),
    ("end", Some("clean, abort or stall with wire"), |it| has_wire(it) && it.script.end == Some(End::Truncate)),
    ("status", Some(BODY), |it| has_wire(it) && it.head.status.is_some_and(|it| WITHOUT_BODY.contains(&it))),
    ("end", None, |it| !has_wire(it) && it.script.count.is_none() && it.script.end.is_some()),
    ("size", None, |it| it.script.size.is_some() && it.script.data.is_some()),
    ("pace", None, |it| it.script.framing.pace.is_some() && it.script.framing.split.is_none()),
    ("redirect", None, |it| it.head.redirect.is_some() && it.head.status.is_some()),
    ("responses", None, |it| has_responses(it) && (it.key.is_none() || it.head.status.is_some() || it.then.is_some())),
];

fn has_wire(options: &Options) -> bool {
    options.script.wire.is_some()
}

fn has_responses(options: &Options) -> bool {
    !options.responses.is_empty()
}
