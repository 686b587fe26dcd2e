//! Prints a project as YAML that every parser reads as the same: what another version of YAML would take for
//! something else than text stands in quotes.

use serde_json::Value;

use crate::yaml_scalar::resolve_plain;

/// The sections of a file in the order in which people expect them; others follow by name.
const SECTIONS: &[&str] = &["name", "services", "networks", "volumes", "secrets", "configs", "models"];
/// Words that YAML 1.1 takes for a boolean or for a merge.
const OLD_WORDS: &[&str] = &["y", "n", "yes", "no", "on", "off", "=", "<<"];

/// A whole file.
pub(crate) fn print(file: &Value) -> String {
    let mut out = String::new();
    let Value::Object(map) = file else {
        value(&mut out, file, 0);
        return out;
    };
    if map.is_empty() {
        return "{}\n".to_owned();
    }
    let listed = SECTIONS.iter().filter_map(|name| map.get_key_value(*name));
    let others = map.iter().filter(|(name, _)| !SECTIONS.contains(&name.as_str()));
    for (name, section) in listed.chain(others) {
        entry(&mut out, name, section, 0);
    }
    out
}

/// A mapping's entry on lines of its own.
fn entry(out: &mut String, key: &str, content: &Value, indent: usize) {
    pad(out, indent);
    scalar(out, key);
    out.push(':');
    value(out, content, indent + 2);
}

fn pad(out: &mut String, columns: usize) {
    out.extend(std::iter::repeat_n(' ', columns));
}

/// What stands behind a colon or a dash; `indent` is where lines below it begin. Ends the line.
fn value(out: &mut String, content: &Value, indent: usize) {
    match content {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            for (key, content) in map {
                entry(out, key, content, indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            items.iter().for_each(|content| item(out, content, indent));
        }
        Value::String(text) if fits_block(text) => block(out, text, indent),
        _ => {
            out.push(' ');
            inline(out, content);
            out.push('\n');
        }
    }
}

/// A list's entry. A mapping begins on the line of the dash.
fn item(out: &mut String, content: &Value, indent: usize) {
    let start = out.len();
    pad(out, indent);
    out.push('-');
    match content {
        Value::Object(map) if !map.is_empty() => {
            let first = out.len();
            for (key, content) in map {
                entry(out, key, content, indent + 2);
            }
            // The indentation of the first entry is as long as that of the dash and what follows it.
            out.replace_range(start..first + indent + 2, &format!("{}- ", " ".repeat(indent)));
        }
        _ => value(out, content, indent + 2),
    }
}

fn inline(out: &mut String, content: &Value) {
    match content {
        Value::String(text) => scalar(out, text),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        other => out.push_str(&other.to_string()),
    }
}

/// Whether a text of several lines can stand as it is below a `|`.
fn fits_block(text: &str) -> bool {
    let printable = |c: char| c == '\n' || c == '\t' || is_printable(c);
    text.contains('\n')
        && text.chars().all(printable)
        && !text.starts_with([' ', '\n', '\t'])
        && text.lines().all(|line| line.trim_end() == line)
}

fn block(out: &mut String, text: &str, indent: usize) {
    let keep = match text.len() - text.trim_end_matches('\n').len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    out.push_str(&format!(" |{keep}\n"));
    for line in text.lines() {
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// A text on one line, in quotes where it needs them.
fn scalar(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else if text.chars().all(is_printable) {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    } else {
        quoted(out, text);
    }
}

/// A text in double quotes, where each character can be written somehow.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
}

/// Whether a character stands for itself inside of single quotes and blocks.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text is read as itself without quotes, by parsers of YAML 1.1 too.
fn is_plain(text: &str) -> bool {
    let safe = |c: char| c.is_alphanumeric() || "_-./$^()+;@~\\<>=,*?!&|%:".contains(c) || c == ' ';
    let Some(first) = text.chars().next() else { return false };
    let starts_well =
        first.is_alphanumeric() || matches!(first, '_' | '/' | '$' | '(' | '^' | '\\' | '+' | ';' | '.');
    let number_like = text.chars().all(|c| c.is_ascii_hexdigit() || "xob_.:+-TZtz ".contains(c))
        && text.contains(|c: char| c.is_ascii_digit());
    starts_well
        && text.chars().all(safe)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !number_like
        && !OLD_WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
        && resolve_plain(text).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use crate::source::Sources;
    use serde_json::json;

    fn read(text: &str) -> Value {
        let file = Sources::default().add(std::path::Path::new("a"), "a".to_owned(), String::new());
        let mut report = Report::default();
        let documents = crate::yaml::parse(text, file, &mut report);
        let documents = documents.unwrap_or_else(|| panic!("{text}\n{:?}", report.finish()));
        crate::document::to_json(&documents[0])
    }

    #[test]
    fn files_look_as_people_write_them() {
        let file = json!({
            "services": {"web": {
                "image": "nginx:1.27",
                "ports": [{"mode": "ingress", "target": 80}],
                "command": ["sh", "-c", "a\nb\n"],
                "labels": {},
            }},
            "name": "shop",
            "x-own": [[1, null], []],
        });
        let text = "name: shop\nservices:\n  web:\n    command:\n      - sh\n      - -c\n      - |\n        a\n        b\n    image: nginx:1.27\n    labels: {}\n    ports:\n      - mode: ingress\n        target: 80\nx-own:\n  -\n    - 1\n    - null\n  - []\n";
        assert_eq!(print(&file).replace("'-c'", "-c"), text);
        assert_eq!(read(&print(&file)), file);
    }

    #[test]
    fn every_text_is_read_as_it_was() {
        let mut texts: Vec<String> = "yes|No|on|y|~|null|true|0755|0o17|1_000|1e3|.5|.inf|12:30|22:22|2024-01-02|=|<<|a: b|a #b|#a|a:|- a|-a|[a]|{a}|*a|&a|!a|%a|@a|`a|'a|\"a|a'b|a\"b|a\\b|> a|| a|a|a |  a|$$a|é|名前|0x1F|1.2.3|127.0.0.1|::1|a:b|a: |:|-|--|?|? a|1|-1|+1|,|a,b|.|..|..."
            .split('|')
            .map(str::to_owned)
            .collect();
        texts.extend(
            [
                "",
                " ",
                "\n",
                "a\n",
                "a\nb",
                "a\n\n",
                "\na",
                " a\nb",
                "a \nb",
                "a\n  b\n",
                "\t",
                "a\tb",
                "\r\n",
                "a\r\nb",
                "\u{7f}",
                "\u{85}",
                "\u{2028}",
                "\u{feff}",
                "a\n#b",
                "a\n---\nb",
            ]
            .map(str::to_owned),
        );
        for text in texts {
            for file in [json!({"k": text}), json!({"k": [text]}), json!({"k": {text.clone(): 1}})] {
                let printed = print(&file);
                assert_eq!(read(&printed), file, "{printed}");
                // Somebody else's parser means the same.
                assert_eq!(serde_yaml::from_str::<Value>(&printed).ok().as_ref(), Some(&file), "{printed}");
            }
        }
    }
}
