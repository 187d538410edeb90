//! The windows of a step.

use weir_plan::aggregate::{WINDOW_END, WINDOW_START};
use weir_plan::quote::quoted;
use weir_plan::window::{self, Aligned, TimeZone, Window};

use super::Upstream;
use crate::defaults;
use crate::document::{self, Calendar, CalendarUnit, Cumulate, Duration, Sliding, Tumbling, unions};
use crate::finding::{Findings, Path, nearest};
use crate::lower::duration;

/// The least and the greatest size of a window.
const SIZES: [&str; 2] = ["1ms", "99999h"];
/// How many windows one row may lie in.
const OVERLAP_MAX: i64 = 10_000;

/// The window of a step that reads `from`, which has this name; `None` if it is wrong.
pub(super) fn window(
    window: &document::Window,
    name: &str,
    from: &Upstream,
    at: &Path,
    out: &mut Findings,
) -> Option<Window> {
    let is_there = [
        window.tumbling.is_some(),
        window.sliding.is_some(),
        window.session.is_some(),
        window.cumulate.is_some(),
        window.calendar.is_some(),
        window.of_input.is_some(),
    ];
    out.exactly_one(at, unions::WINDOWS, &is_there);
    let aligned = match (&window.tumbling, &window.sliding, &window.cumulate, &window.calendar) {
        (Some(it), ..) => tumbling(it, &at.field("tumbling"), out),
        (_, Some(it), ..) => sliding(it, &at.field("sliding"), out),
        (_, _, Some(it), _) => cumulate(it, &at.field("cumulate"), out),
        (.., Some(it)) => calendar(it, &at.field("calendar"), out),
        _ => {
            let session = window.session.as_ref();
            let session = session.and_then(|session| us(&session.gap, &at.field("session").field("gap"), out));
            let of_input = || window.of_input.as_ref().and_then(|_| of_input(name, from, &at.field("ofInput"), out));
            return session.map(|gap_us| Window::Session { gap_us }).or_else(of_input);
        }
    };
    aligned.map(Window::Aligned)
}

fn tumbling(tumbling: &Tumbling, at: &Path, out: &mut Findings) -> Option<Aligned> {
    let size_us = us(&tumbling.size, &at.field("size"), out);
    let offset_us = offset(tumbling.offset.as_ref(), "size", size_us, at, out);
    Some(Aligned::Tumbling(window::Tumbling::new(size_us?, offset_us?)))
}

fn sliding(sliding: &Sliding, at: &Path, out: &mut Findings) -> Option<Aligned> {
    let (size_us, slide_us) = (us(&sliding.size, &at.field("size"), out), us(&sliding.slide, &at.field("slide"), out));
    let offset_us = offset(sliding.offset.as_ref(), "slide", slide_us, at, out);
    let (size_us, slide_us) = (size_us?, slide_us?);
    let at = at.field("slide");
    if slide_us > size_us {
        let (slide, size) = (quoted(&*sliding.slide), quoted(&*sliding.size));
        let message = format!(
            "found {slide}, and the size is {size}: rows between two windows would be in none; write the size at most"
        );
        out.add(&at, message);
        return None;
    }
    overlap(size_us, slide_us, &sliding.slide, &at, out)?;
    Some(Aligned::Sliding(window::Sliding::new(size_us, slide_us, offset_us?)))
}

fn cumulate(cumulate: &Cumulate, at: &Path, out: &mut Findings) -> Option<Aligned> {
    let (size_us, step_us) = (us(&cumulate.size, &at.field("size"), out), us(&cumulate.step, &at.field("step"), out));
    let offset_us = offset(cumulate.offset.as_ref(), "size", size_us, at, out);
    let (size_us, step_us) = (size_us?, step_us?);
    if size_us % step_us != 0 {
        let (size, step) = (quoted(&*cumulate.size), quoted(&*cumulate.step));
        let message = format!("found {size}, which is no multiple of the step {step}: write a multiple of it");
        out.add(&at.field("size"), message);
        return None;
    }
    overlap(size_us, step_us, &cumulate.step, &at.field("step"), out)?;
    Some(Aligned::Cumulate(window::Cumulate::new(size_us, step_us, offset_us?)))
}

fn calendar(calendar: &Calendar, at: &Path, out: &mut Findings) -> Option<Aligned> {
    let unit = match calendar.unit {
        CalendarUnit::Day => window::CalendarUnit::Day,
        CalendarUnit::Week => window::CalendarUnit::Week,
        CalendarUnit::Month => window::CalendarUnit::Month,
    };
    let zone = calendar.time_zone.as_deref().unwrap_or(defaults::TIME_ZONE);
    let zone = out.checked(&at.field("timeZone"), time_zone(zone));
    let offset = calendar.offset.as_deref().unwrap_or(defaults::WINDOW_OFFSET);
    let offset_us = out.duration(&at.field("offset"), offset, "0s", "23h59m59s").map(duration::as_us);
    Some(Aligned::Calendar(window::Calendar::new(unit, zone?, offset_us?)))
}

/// The windows that the rows of `from`, which has this name, carry.
pub(super) fn of_input(name: &str, from: &Upstream, at: &Path, out: &mut Findings) -> Option<Window> {
    let schema = from.schema.as_ref()?;
    let index = |name| schema.index_of(name).ok().filter(|_| from.carries_window);
    let found = index(WINDOW_START).zip(index(WINDOW_END));
    if found.is_none() {
        let message = format!(
            "the rows of {} carry no window: read an aggregate that has one, directly or through maps that leave \
             `window_start` and `window_end` as they are",
            quoted(name)
        );
        out.add(at, message);
    }
    found.map(|(starts, ends)| Window::OfInput { starts, ends })
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    window::time_zone(name).ok_or_else(|| {
        let instead = match (fixed(name), nearest(name, window::time_zones())) {
            (Some(fixed), _) => format!("write {} (in these names the sign is the other way round)", quoted(fixed)),
            (None, Some(near)) => format!("did you mean {}?", quoted(near)),
            (None, None) => "write a name of the IANA database, as in Europe/Paris".to_owned(),
        };
        format!("there is no time zone {}: {instead}", quoted(name))
    })
}

/// The name of a time zone that is whole hours from UTC, such as `UTC+2`.
fn fixed(name: &str) -> Option<String> {
    let hours = name.trim_start_matches("UTC").trim_start_matches("GMT").trim_end_matches(":00");
    let sign = match hours.chars().next()? {
        '+' => '-',
        '-' => '+',
        _ => return None,
    };
    let name = format!("Etc/GMT{sign}{}", hours[1..].parse::<u8>().ok()?);
    window::time_zone(&name).map(|_| name)
}

fn us(found: &Duration, at: &Path, out: &mut Findings) -> Option<i64> {
    out.duration(at, found, SIZES[0], SIZES[1]).map(duration::as_us)
}

/// How much later windows begin, which is less than the `period` in which they begin anew.
fn offset(
    found: Option<&Duration>,
    period: &str,
    period_us: Option<i64>,
    at: &Path,
    out: &mut Findings,
) -> Option<i64> {
    let found = found.map_or(defaults::WINDOW_OFFSET, |found| found);
    let at = at.field("offset");
    let offset_us = out.checked(&at, duration::parse(found)).map(duration::as_us)?;
    if period_us.is_some_and(|period_us| offset_us >= period_us) {
        out.add(&at, format!("found {}: write a duration shorter than the {period}", quoted(found)));
        return None;
    }
    Some(offset_us)
}

/// Refuses windows of which too many contain one row.
fn overlap(size_us: i64, period_us: i64, found: &Duration, at: &Path, out: &mut Findings) -> Option<()> {
    let windows = size_us.div_euclid(period_us);
    if windows <= OVERLAP_MAX {
        return Some(());
    }
    let found = quoted(&**found);
    out.add(at, format!("found {found}: a row would lie in {windows} windows, and at most {OVERLAP_MAX} are allowed"));
    None
}
