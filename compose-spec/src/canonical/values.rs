//! The canonical forms of single values: texts, numbers, durations, sizes, modes and command lines.

use crate::diagnostic::{Code, Diagnostic};
use crate::format::Form;
use crate::node::{Node, Value};
use crate::place::Place;
use crate::report::Report;
use crate::scalar;
use crate::short;

pub(super) fn wrong(node: &Node, place: &Place<'_>, reason: impl std::fmt::Display) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(Code::Value, node.span, format!("`{place}`: {reason}")))
}

/// An error about a text that cannot be read.
fn unreadable(node: &Node, place: &Place<'_>, text: &str, reason: &str, hint: &str) -> Box<Diagnostic> {
    let message = format!("`{place}` cannot be `{text}`: {reason}");
    Box::new(Diagnostic::error(Code::Value, node.span, message).hint(hint))
}

pub(super) fn settle_text(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    let text = match node.value {
        Value::String(_) => return Ok(()),
        Value::Null => String::new(),
        _ => {
            node.to_text().ok_or_else(|| wrong(node, place, format!("expected text, not {}", node.kind())))?
        }
    };
    node.value = Value::String(text);
    Ok(())
}

/// Text; a whole number becomes text, but one that is written with a fraction or an exponent is refused.
pub(super) fn settle_digits(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    match (&node.value, node.to_text()) {
        (Value::Float(_) | Value::Large(_), Some(text)) => Err(wrong(
            node,
            place,
            "a number with a fraction or an exponent, or one so large, has no meaning here",
        )
        .hint(format!("put it in quotes if it is meant: \"{text}\""))
        .into()),
        _ => settle_text(node, place),
    }
}

pub(super) fn settle_whole(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    match &node.value {
        Value::Float(value) => node.value = Value::Int(scalar::whole(*value)),
        Value::Large(_) => node.value = Value::Int(i64::MAX),
        Value::String(text) => {
            return Err(wrong(node, place, format!("expected a whole number, not the text `{text}`")));
        }
        _ => {}
    }
    Ok(())
}

/// A limit of processes: a whole number that is written as one.
pub(super) fn settle_limit(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    match node.value {
        Value::Float(_) | Value::Large(_) => Err(wrong(
            node,
            place,
            "expected a whole number of at most 63 bits, without fraction or exponent",
        )),
        _ => settle_whole(node, place),
    }
}

pub(super) fn settle_count(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    settle_whole(node, place)?;
    match node.value {
        Value::Int(value) if value < 0 => Err(wrong(node, place, format!("{value} is negative"))),
        _ => Ok(()),
    }
}

pub(super) fn settle_bytes(
    node: &mut Node,
    place: &Place<'_>,
    report: &mut Report,
) -> Result<(), Box<Diagnostic>> {
    let bytes = match &node.value {
        Value::Int(value) => *value,
        Value::Float(_) | Value::Large(_) => {
            // The reference reads whole numbers and text, and passes over anything else.
            let message = format!("`{place}` is ignored, since it is a number with a fraction, or too large");
            report.add(
                Diagnostic::warning(Code::Suspicious, node.span, message).hint("add a unit, as in `1.5g`"),
            );
            0
        }
        Value::String(text) => match scalar::parse_bytes(text) {
            Ok(bytes) => {
                if bytes == i64::MIN {
                    let message =
                        format!("`{place}: {text}` is larger than any memory, and becomes negative");
                    report.warning(node.span, message);
                }
                bytes
            }
            Err(reason) => return Err(unreadable(node, place, text, &reason, scalar::BYTES_HINT)),
        },
        _ => return Ok(()),
    };
    node.value = Value::String(bytes.to_string());
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "whole numbers of CPUs are small")]
pub(super) fn settle_scalar(node: &mut Node, form: Form, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    let value = match (form, &node.value) {
        (Form::Number, Value::Int(value)) => Value::Float(single(*value as f64)),
        (Form::Number, Value::Large(value)) => Value::Float(single(*value as f64)),
        (Form::Number, Value::Float(value)) if value.is_finite() => Value::Float(single(*value)),
        (Form::Number, Value::Float(_)) => {
            return Err(wrong(node, place, "a number that is not finite cannot be printed as JSON"));
        }
        (Form::Duration | Form::Pause, Value::String(text)) => {
            let nanos = scalar::parse_duration(text)
                .map_err(|reason| unreadable(node, place, text, &reason, scalar::DURATION_HINT))?;
            Value::String(scalar::format_duration(nanos))
        }
        (Form::Mode, Value::Int(value)) if u32::try_from(*value).is_ok() => {
            Value::String(format!("0{value:o}"))
        }
        (Form::Mode, Value::Int(_) | Value::Large(_) | Value::Float(_)) => {
            return Err(wrong(node, place, "expected permission bits in octal, such as `0440`"));
        }
        (Form::Mode, Value::String(text)) => {
            let mode = u32::from_str_radix(text, 8)
                .map_err(|_| wrong(node, place, format!("`{text}` is not an octal number such as `0440`")))?;
            Value::String(format!("0{mode:o}"))
        }
        _ => return Ok(()),
    };
    node.value = value;
    Ok(())
}

/// A number with the precision that the reference keeps: 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "that is the point")]
pub(super) fn single(value: f64) -> f64 {
    // The shortest text of the single number is what is meant by it.
    (value as f32).to_string().parse().unwrap_or(value)
}

pub(super) fn settle_health_test(node: &mut Node) {
    if let Value::String(text) = &node.value {
        let kind = Node::text("CMD-SHELL", node.span);
        node.value = Value::Seq(vec![kind, Node::text(text.clone(), node.span)]);
    }
}

pub(super) fn settle_command(
    node: &mut Node,
    place: &Place<'_>,
    report: &mut Report,
) -> Result<(), Box<Diagnostic>> {
    let Value::String(line) = &node.value else { return Ok(()) };
    let split = short::split_command(line)
        .map_err(|reason| wrong(node, place, format!("`{line}` cannot be split into words: {reason}")))?;
    if let Some(at) = split.cut {
        let rest = line[at..].trim_end().to_owned();
        report.add(
            Diagnostic::warning(
                Code::Suspicious,
                node.span,
                format!("`{place}` is no shell line: `{rest}` is cut off"),
            )
            .hint("run a shell: `[\"sh\", \"-c\", \"...\"]`"),
        );
    }
    let words = split.words.into_iter().map(|word| Node::text(word, node.span)).collect();
    node.value = Value::Seq(words);
    Ok(())
}
