//! Extended header records of pax: `LENGTH KEY=VALUE\n`, see pax(1).
//!
//! Records are taken by their length. The `tar` crate (0.4) splits them at line ends instead, which loses binary
//! attributes (a capability set may hold the byte 10) and, worse, lets an attribute's value pose as a record.

/// One record; both parts are as hostile as the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// All records of an extended header, or what is wrong with it.
pub(super) fn records(mut data: &[u8]) -> Result<Vec<Record<'_>>, &'static str> {
    const BAD: &str = "malformed pax header";
    let mut records = Vec::new();
    // GNU tar and others pad with zeros.
    while !data.is_empty() && data[0] != 0 {
        let space = data.iter().take(20).position(|b| *b == b' ').ok_or(BAD)?;
        let digits = std::str::from_utf8(&data[..space]).map_err(|_| BAD)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BAD);
        }
        let length: usize = digits.parse().map_err(|_| BAD)?;
        let record = data.get(space + 1..length).ok_or(BAD)?;
        let record = record.strip_suffix(b"\n").ok_or(BAD)?;
        let equals = record.iter().position(|b| *b == b'=').filter(|at| *at > 0).ok_or(BAD)?;
        records.push(Record { key: &record[..equals], value: &record[equals + 1..] });
        data = &data[length..];
    }
    Ok(records)
}

/// A decimal number.
pub(super) fn number(text: &[u8]) -> Result<u64, &'static str> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok()).ok_or("a number that is none")
}

/// Seconds with an optional fraction, as `1700000000.123`; before 1970 only whole seconds count.
pub(super) fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}")[..9].parse().ok()?;
    Some((seconds, if seconds < 0 { 0 } else { nanos }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &[u8], expect: Option<&[(&[u8], &[u8])]>) {
        let expect =
            expect.map(|list| list.iter().map(|(key, value)| Record { key, value }).collect::<Vec<_>>());
        assert_eq!(records(data).ok(), expect, "{}", data.escape_ascii());
    }

    #[test]
    fn records_are_taken_by_length() {
        check(b"", Some(&[]));
        check(b"9 path=a\n", Some(&[(b"path", b"a")]));
        check(b"9 path=a\n11 size=12\n\0\0\0", Some(&[(b"path", b"a"), (b"size", b"12")]));
        check(b"8 a=b=c\n", Some(&[(b"a", b"b=c")]));
        check(b"5 a=\n", Some(&[(b"a", b"")]));
    }

    #[test]
    fn a_value_cannot_pose_as_a_record() {
        check(b"17 x=1\n9 size=9\n\n", Some(&[(b"x", b"1\n9 size=9\n")]));
    }

    #[test]
    fn malformed_headers_are_refused() {
        for bad in [
            &b"9 path=a"[..],
            b"x path=a\n",
            b"999 path=a\n",
            b"3 \n",
            b"4 =\n",
            b"+9 path=a\n",
            b"2 9 a=b\n",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn times_may_have_fractions() {
        for (text, expect) in [
            ("1700000000", Some((1_700_000_000, 0))),
            ("1.5", Some((1, 500_000_000))),
            ("1.0000000019", Some((1, 1))),
            ("-5.5", Some((-5, 0))),
            ("x", None),
            ("1.x", None),
        ] {
            assert_eq!(time(text.as_bytes()), expect, "{text}");
        }
    }
}
