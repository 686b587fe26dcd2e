//! The written forms of durations and sizes, read and printed as the reference does (Go's rules).

/// Nanoseconds of each unit of a duration, with the two that Compose adds to Go's (`d`, `w`).
const DURATION_UNITS: &[(&str, i64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// What a duration looks like, for hints.
pub(crate) const DURATION_HINT: &str =
    "expected numbers with units (ns, us, ms, s, m, h, d, w), such as `1m30s`";
/// What a size looks like, for hints.
pub(crate) const BYTES_HINT: &str = "expected a number with an optional unit: b, k, m, g, t or p";

/// Reads a duration such as `1m30s`, `1.5h`, `-2s`, `1d12h` or `0`, in nanoseconds.
///
/// # Errors
/// Says why the text is no duration, or that it exceeds about 292 years.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || "it is no duration".to_owned();
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| "the unit is missing".to_owned())?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let nanos = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| format!("there is no unit `{}`", unit.trim()))?;
        let part = scaled(number, nanos.1).ok_or_else(invalid)?;
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = tail;
    }
    Ok(if negative { -total } else { total })
}

/// `number * unit`, exact in the whole part and rounded down in the fraction.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = i128::from(whole) * i128::from(unit);
    let mut weight = i128::from(unit);
    let mut part = 0_i128;
    // Eighteen digits are more than any unit can resolve.
    let mut divisor = 1_i128;
    for digit in fraction.chars().take(18) {
        divisor *= 10;
        part = part * 10 + i128::from(digit.to_digit(10)?);
    }
    weight *= part;
    total += weight / divisor;
    i64::try_from(total).ok()
}

/// Prints nanoseconds as Go does: `1m30s`, `2h0m0s`, `1.5s`, `100ms`, `0s`.
pub(crate) fn format_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let value = nanos.unsigned_abs();
    if value == 0 {
        return "0s".to_owned();
    }
    if value < 1_000_000_000 {
        let (unit, name) = match value {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", decimal(value, unit));
    }
    let seconds = decimal(value % 60_000_000_000, 1_000_000_000);
    let minutes = value / 60_000_000_000;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `value / unit` with as many decimals as needed; `unit` is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{fraction:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// Prints a number as Go does: with an exponent from 10^6 on and below 10^-4, plainly in between.
pub(crate) fn format_float(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".to_owned()
        } else {
            format!("{}Inf", if value > 0.0 { '+' } else { '-' })
        };
    }
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    value.to_string()
}

/// Reads a number in decimal, in which `_` may stand between digits.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    if !text.contains('_') {
        return text.parse().ok();
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let between = |at: usize| at > 0 && digit(at - 1) && digit(at + 1);
    let fits = text.match_indices('_').all(|(at, _)| between(at));
    fits.then(|| text.replace('_', "").parse().ok()).flatten()
}

/// The whole part of a number. What does not fit becomes the smallest number, as in the reference.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
#[expect(clippy::cast_precision_loss, reason = "the bounds are powers of two")]
pub(crate) fn whole(value: f64) -> i64 {
    let fits = value >= i64::MIN as f64 && value < i64::MAX as f64;
    if fits { value as i64 } else { i64::MIN }
}

/// Reads a size such as `512m`, `1.5 GiB` or `1024`, in bytes. `k`, `kb` and `kib` all count in 1024s.
///
/// # Errors
/// Says what is expected when the text is no size.
pub(crate) fn parse_bytes(text: &str) -> Result<i64, String> {
    let invalid = || "it is no size".to_owned();
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').ok_or_else(invalid)?;
    let (number, suffix) = text.split_at(end + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let size: f64 = parse_float(number).ok_or_else(invalid)?;
    if size < 0.0 {
        return Err("it is negative".to_owned());
    }
    if size.is_nan() {
        return Err(invalid());
    }
    let power = match suffix.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(format!("there is no unit `{suffix}`")),
    };
    Ok(whole(size * 1024_f64.powi(power)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed_as_go_does() {
        for (text, printed) in [
            ("10s", "10s"),
            ("90s", "1m30s"),
            ("1d12h", "36h0m0s"),
            ("1w", "168h0m0s"),
            ("1.5s", "1.5s"),
            (".5s", "500ms"),
            ("1h1ms", "1h0m0.001s"),
            ("1500us", "1.5ms"),
            ("7ns", "7ns"),
            ("-3s", "-3s"),
            ("+3s", "3s"),
            ("0", "0s"),
            ("0s", "0s"),
        ] {
            assert_eq!(parse_duration(text).map(format_duration).as_deref(), Ok(printed), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "10", "s", "1x", "1 s", "-", "1.2.3s", ".s", "9999999999h", "some text"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_count_in_1024s_whatever_the_spelling() {
        for (text, bytes) in [
            ("1k", 1024),
            ("1kb", 1024),
            ("1KiB", 1024),
            ("1.5g", 1_610_612_736),
            ("64 MB", 67_108_864),
            ("10b", 10),
            ("7", 7),
            ("0.5k", 512),
            ("1_000k", 1_024_000),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "m", "1Mi", "1x", "-5m", "1bb", "some text", "1 2 m", "1__0", "_1", "1_"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
