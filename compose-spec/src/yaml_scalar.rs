//! What an unquoted YAML word is. The rules are YAML 1.2 with the exceptions that the reference's parser
//! makes: `0755` is octal, digits may be grouped with `_`, and a date becomes a time.

use crate::node::Value;

/// What a plain scalar is, unless it is text that stands for itself.
pub(crate) fn resolve_plain(text: &str) -> Option<Value> {
    match text.bytes().next() {
        None => Some(Value::Null),
        Some(b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F') => resolve_word(text),
        Some(b'+' | b'-' | b'.' | b'0'..=b'9') => {
            resolve_word(text).or_else(|| resolve_time(text).map(Value::String)).or_else(|| {
                let plain = text.replace('_', "");
                resolve_int(&plain).or_else(|| resolve_float(&plain))
            })
        }
        _ => None,
    }
}

fn resolve_word(text: &str) -> Option<Value> {
    Some(match text {
        "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        _ => return None,
    })
}

/// Resolves a scalar with a tag of YAML's core schema; `None` if the text does not fit.
pub(crate) fn resolve_tagged(tag: &str, text: &str) -> Option<Value> {
    match tag {
        "int" => resolve_int(&text.replace('_', "")),
        "float" => {
            let plain = text.replace('_', "");
            match resolve_int(&plain) {
                #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
                Some(Value::Int(value)) => Some(Value::Float(value as f64)),
                #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
                Some(Value::Large(value)) => Some(Value::Float(value as f64)),
                _ => resolve_float(&plain),
            }
        }
        "bool" => match resolve_plain(text) {
            value @ Some(Value::Bool(_)) => value,
            _ => crate::cast::to_bool(text).map(Value::Bool),
        },
        "null" => Some(Value::Null),
        _ => Some(Value::String(text.to_owned())),
    }
}

fn resolve_int(plain: &str) -> Option<Value> {
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(plain)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    i64::try_from(value).map(Value::Int).or_else(|_| u64::try_from(value).map(Value::Large)).ok()
}

fn resolve_float(plain: &str) -> Option<Value> {
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(plain);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if exponent.is_empty() || !all_digits(exponent) {
            return None;
        }
    }
    // What is beyond the range of numbers stays text.
    plain.parse().ok().filter(|value: &f64| value.is_finite()).map(Value::Float)
}

/// A date, or a date with a time, in the form in which the reference prints it.
fn resolve_time(text: &str) -> Option<String> {
    let date_end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, rest) = text.split_at(date_end);
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let number = |text: &str, max: u32| -> Option<u32> {
        let digits = (1..=2).contains(&text.len()) || text.len() == 4;
        (digits && text.bytes().all(|b| b.is_ascii_digit())).then_some(())?;
        text.parse().ok().filter(|value| *value <= max)
    };
    let (year, month, day) = (number(year, 9999)?, number(month, 12)?, number(day, 31)?);
    if month == 0 || day == 0 {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if rest.is_empty() {
        return Some(format!("{date} 00:00:00 +0000 UTC"));
    }
    let clock = rest[1..].trim_start();
    let (clock, zone) = match clock.find(['Z', '+', '-']) {
        Some(at) => clock.split_at(at),
        None if rest.starts_with(' ') => (clock, "Z"),
        None => return None,
    };
    let mut parts = clock.trim_end().split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let (second, fraction) = second.split_once('.').unwrap_or((second, ""));
    if parts.next().is_some() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hour, minute, second) = (number(hour, 23)?, number(minute, 59)?, number(second, 59)?);
    let fraction = fraction.trim_end_matches('0');
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    let zone = match zone {
        "Z" => "+0000 UTC".to_owned(),
        zone => {
            let digits = zone.replace(':', "");
            (digits.len() == 5).then_some(())?;
            format!("{digits} {digits}")
        }
    };
    Some(format!("{date} {hour:02}:{minute:02}:{second:02}{fraction} {zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Value) {
        assert_eq!(resolve_plain(text), Some(expect), "{text}");
    }

    fn check_text(text: &str) {
        assert_eq!(resolve_plain(text), None, "{text}");
    }

    #[test]
    fn numbers_follow_yaml_1_2_with_old_octals() {
        check("0755", Value::Int(493));
        check("0o17", Value::Int(15));
        check("0x1F", Value::Int(31));
        check("0b11", Value::Int(3));
        check("1_000", Value::Int(1000));
        check("-7", Value::Int(-7));
        check("1e3", Value::Float(1000.0));
        check("1.10", Value::Float(1.1));
        check(".5", Value::Float(0.5));
        check("089", Value::Float(89.0));
        check("18446744073709551615", Value::Large(u64::MAX));
        check("99999999999999999999", Value::Float(1e20));
        check_text("1e400");
    }

    #[test]
    fn words_times_and_clocks_stay_text() {
        for text in ["yes", "on", "y", "12:30", "22:22", "1.2.3", "1.5g", "-", "127.0.0.1", "1e", "0x"] {
            check_text(text);
        }
    }

    #[test]
    fn dates_become_times() {
        for (text, printed) in [
            ("2024-01-02", "2024-01-02 00:00:00 +0000 UTC"),
            ("2024-1-2", "2024-01-02 00:00:00 +0000 UTC"),
            ("2024-01-02T03:04:05Z", "2024-01-02 03:04:05 +0000 UTC"),
            ("2024-01-02 03:04:05", "2024-01-02 03:04:05 +0000 UTC"),
            ("2024-01-02T03:04:05.50+02:00", "2024-01-02 03:04:05.5 +0200 +0200"),
        ] {
            check(text, Value::String(printed.to_owned()));
        }
        for text in ["2024-13-02", "2024-01", "20240102-1-2"] {
            check_text(text);
        }
    }
}
