//! The form of a listing (`--format`): a table, JSON, or a Go template, which is what Docker's users write
//! (`--format '{{.Name}}\t{{.State}}'`). Pure.

use std::sync::Arc;

use gotmpl::{MissingKey, TemplateError, Value};

use super::table::{Table, printable};
use crate::failure::{Failure, Outcome};

/// What `--format` of a listing says.
#[derive(Clone, Debug, Default)]
pub(crate) enum Form {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// As the caller has it.
    Template(Template),
}

/// What each row of a listing becomes.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    text: String,
    /// With columns, and headings above them.
    table: bool,
}

/// Fields whose headings are not the words of their names, in Docker's words.
const HEADINGS: [(&str, &str); 6] = [
    ("BlockIO", "BLOCK I/O"),
    ("CPUPerc", "CPU %"),
    ("MemPerc", "MEM %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("NetIO", "NET I/O"),
    ("RunningFor", "CREATED"),
];

impl Form {
    /// Reads the flag's value.
    ///
    /// # Errors
    /// It is neither the name of a form nor a template.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "table" => return Ok(Self::Table),
            "json" => return Ok(Self::Json),
            _ => {}
        }
        let (table, text) = text.strip_prefix("table ").map_or((false, text), |rest| (true, rest));
        if !text.contains("{{") {
            return Err("it is none of `table`, `json`, `TEMPLATE` and `table TEMPLATE`; a Go template \
                        names fields: `{{.Name}}\\t{{.State}}`"
                .to_owned());
        }
        // As in Docker: shells make writing the characters themselves hard.
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        compile(&text).map_err(|error| error.to_string())?;
        Ok(Self::Template(Template { text, table }))
    }
}

impl Template {
    /// The rows, each of which is a JSON object, in this form.
    pub(crate) fn render(&self, rows: &[serde_json::Value]) -> Outcome<String> {
        let lines: Result<Vec<String>, Failure> = rows.iter().map(|row| self.row(row)).collect();
        let lines = lines?;
        let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        if self.table {
            let headings: Vec<String> = self.text.split('\t').map(heading).collect();
            let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
            lines.iter().for_each(|line| table.row(cells(line)));
            return Ok(table.render());
        }
        // Texts come from containers, too, and must not draw on the terminal.
        let clean = |line: &String| line.split(['\t', '\n']).map(printable).collect::<Vec<_>>();
        let joined = lines.iter().map(|line| {
            let mut marks = line.chars().filter(|c| matches!(c, '\t' | '\n'));
            let parts = clean(line).into_iter();
            parts.fold(String::new(), |text, part| text + &part + &marks.next().unwrap_or('\n').to_string())
        });
        Ok(joined.collect())
    }

    fn row(&self, row: &serde_json::Value) -> Outcome<String> {
        let values = gotmpl::to_value(row);
        let line = values.and_then(|values| compile(&self.text)?.execute_to_string(&values));
        line.map_err(|error| {
            let fields = row.as_object().into_iter().flat_map(|fields| fields.keys());
            let known: Vec<String> = fields.map(|name| format!(".{name}")).collect();
            let message = match error {
                TemplateError::MissingKey { key } => format!("`--format`: there is no field `.{key}`"),
                error => format!("`--format`: {error}"),
            };
            Failure::new(message).hint(format!("there are {}", known.join(", ")))
        })
    }
}

/// The template with Docker's own functions beside Go's.
fn compile(text: &str) -> gotmpl::Result<gotmpl::Template> {
    let on_text = |change: fn(&str) -> String| move |args: &[Value]| Ok(string(&change(&text_of(args, 0)?)));
    gotmpl::Template::new("--format")
        .missing_key(MissingKey::Error)
        .func("json", |args| Ok(string(&json(args.first().unwrap_or(&Value::Nil)).to_string())))
        .func("lower", on_text(|text| text.to_lowercase()))
        .func("upper", on_text(|text| text.to_uppercase()))
        .func("join", |args| match args.first() {
            Some(Value::List(list)) => {
                let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
                Ok(string(&texts.join(&text_of(args, 1)?)))
            }
            _ => Err(TemplateError::Exec("join: expected a list and a text".to_owned())),
        })
        .func("split", |args| {
            let (text, separator) = (text_of(args, 0)?, text_of(args, 1)?);
            Ok(Value::List(text.split(&*separator).map(string).collect()))
        })
        .func("truncate", |args| {
            let length = args.get(1).and_then(Value::as_int).and_then(|length| usize::try_from(length).ok());
            Ok(string(&text_of(args, 0)?.chars().take(length.unwrap_or(usize::MAX)).collect::<String>()))
        })
        .parse(text)
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}

fn text_of(args: &[Value], index: usize) -> gotmpl::Result<Arc<str>> {
    match args.get(index) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(TemplateError::Exec("expected a text".to_owned())),
    }
}

/// A value of a template as JSON.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Uint(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(text) => (&**text).into(),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Map(map) => map.iter().map(|(name, value)| (name.to_string(), json(value))).collect(),
        Value::Nil | Value::Function(_) => serde_json::Value::Null,
    }
}

/// What stands above a column: the name of the first field in it.
fn heading(column: &str) -> String {
    let inside = column.split_once("{{").map_or("", |(_, inside)| inside);
    let names = inside.split('.').skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next());
    let field = names.flatten().find(|name| !name.is_empty()).unwrap_or_default();
    if let Some((_, heading)) = HEADINGS.iter().find(|(name, _)| *name == field) {
        return (*heading).to_owned();
    }
    let mut words = String::new();
    for c in field.chars() {
        if c.is_uppercase() && words.ends_with(char::is_lowercase) {
            words.push(' ');
        }
        words.push(c);
    }
    words.to_uppercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(form: &str) -> Result<String, String> {
        let rows = [
            json!({"Name": "shop-web-1", "ExitCode": 0, "Labels": ["a", "b"], "Detail": "x\u{1b}[2Jy"}),
            json!({"Name": "db", "ExitCode": 137, "Labels": [], "Detail": ""}),
        ];
        match Form::parse(form)? {
            Form::Template(template) => template.render(&rows).map_err(Failure::in_one_line),
            form => Ok(format!("{form:?}")),
        }
    }

    #[test]
    fn a_template_is_filled_in_for_each_row() {
        let check = |form: &str, expect: &str| assert_eq!(render(form).as_deref(), Ok(expect), "{form}");
        check("", "Table");
        check("table", "Table");
        check("json", "Json");
        check(r"{{.Name}}\t{{.ExitCode}}", "shop-web-1\t0\ndb\t137\n");
        check("{{.Name}}: {{json .Labels}}", "shop-web-1: [\"a\",\"b\"]\ndb: []\n");
        check("{{upper .Name}} {{join .Labels \"+\"}}", "SHOP-WEB-1 a+b\nDB \n");
        check("{{truncate .Name 4}}{{if .ExitCode}} failed{{end}}", "shop\ndb failed\n");
        check("{{index (split .Name \"-\") 0}}", "shop\ndb\n");
        check("{{.Detail}}|", "x [2Jy|\n|\n");
        check(r"table {{.Name}}\t{{.ExitCode}}", "NAME        EXIT CODE\nshop-web-1  0\ndb          137\n");
    }

    #[test]
    fn what_is_no_template_is_refused_with_what_there_is() {
        let check = |form: &str, expect: &str| {
            let error = render(form).unwrap_err();
            assert!(error.contains(expect), "{form}: {error}");
        };
        check("yaml", "none of `table`, `json`");
        check("{{.Name", "unclosed action");
        check("{{nonsense .Name}}", "nonsense");
        check("{{.Naem}}", "there is no field `.Naem` (there are .Detail, .ExitCode");
    }

    #[test]
    fn columns_have_the_headings_of_docker() {
        let check = |column: &str, expect: &str| assert_eq!(heading(column), expect, "{column}");
        check("{{.MemUsage}}", "MEM USAGE / LIMIT");
        check("{{json .CreatedAt}}", "CREATED AT");
        check("{{.ID}}", "ID");
        check("plain.Text", "");
    }
}
