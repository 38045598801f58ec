//! What cannot go together, and what cannot go alone.

use super::{End, Options, is_without_body};

/// A parameter, what is allowed of it where its row in the table does not say so, and whether the
/// options go against that.
pub(super) type Pair = (&'static str, Option<&'static str>, fn(&Options) -> bool);

const NO_WIRE: Option<&str> = Some("not beside wire");

const BODY: &str = "with wire: 200 to 599 except 204, 205 and 304, which have no body";

/// All of them; the first that is wrong is told.
#[rustfmt::skip]
pub(super) const PAIRS: &[Pair] = &[
    ("interval", None, |it| it.interval == Some(0) && it.wire.is_none()),
    ("data", NO_WIRE, |it| it.wire.is_some() && it.data.is_some()),
    ("event", NO_WIRE, |it| it.wire.is_some() && it.event.is_some()),
    ("retry", NO_WIRE, |it| it.wire.is_some() && it.retry.is_some()),
    ("eol", NO_WIRE, |it| it.wire.is_some() && it.shape.eol.is_some()),
    ("bom", NO_WIRE, |it| it.wire.is_some() && it.shape.bom),
    ("size", NO_WIRE, |it| it.wire.is_some() && it.size.is_some()),
    ("echo", NO_WIRE, |it| it.wire.is_some() && it.echo),
    ("count", NO_WIRE, |it| it.wire.is_some() && it.count.is_some()),
    ("comment", Some("0 beside wire"), |it| it.wire.is_some() && it.comment.is_some_and(|it| !it.is_zero())),
    ("end", Some("clean, abort or stall beside wire"), |it| it.wire.is_some() && it.end == Some(End::Truncate)),
    // With `fail` the status is that of a failure, which has no wire.
    ("status", Some(BODY), |it| it.wire.is_some() && it.fail == 0 && it.head.status.as_ref().is_some_and(|(it, _)| is_without_body(*it))),
    ("end", None, |it| it.wire.is_none() && it.count.is_none() && it.end.is_some()),
    ("size", None, |it| it.size.is_some() && it.data.is_some()),
    ("pace", None, |it| it.shape.pace.is_some() && it.shape.split.is_none()),
    ("redirect", None, |it| it.head.redirect.is_some() && it.head.status.is_some()),
    ("fail", None, |it| it.fail > 0 && it.key.is_none()),
    ("once", None, |it| it.once && it.key.is_none()),
];
