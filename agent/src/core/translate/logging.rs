//! Where the output of a container goes: its own log, and a log of the machine as well.

use std::path::PathBuf;

use cluster::Task;
use runtime::{Forward, LogConfig, SyslogAddress, SyslogFormat};

use super::limits::parse_size;
use super::short_id;

/// Most bytes that one log file may be asked to have.
const LOG_BYTES_MOST: u64 = 1 << 30;
/// Most log files that may be asked for.
const LOG_FILES_MOST: u32 = 100;
/// Where programs of a machine write to its syslog.
const LOCAL_SYSLOG: &str = "/dev/log";
const SYSLOG_PORT: &str = "514";
/// Of RFC 5424, in the order of their numbers.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
const DAEMON: u8 = 3;

/// `logging`: Docker's `local` and `json-file` drivers are both the container's own log, with their options `max-size`
/// and `max-file`; `none` keeps nothing; `syslog` and `journald` tell each line to the machine's log too.
pub(super) fn log(task: &Task, image: &str) -> Result<LogConfig, String> {
    let mut config = LogConfig::default();
    let Some(logging) = &task.spec.compose.logging else { return Ok(config) };
    let option = |name: &str| logging.options.get(name).map(String::as_str);
    let driver = logging.driver.as_deref().unwrap_or_default();
    config.off = driver == "none";
    if let Some(text) = option("max-size") {
        let bytes = parse_size(text).filter(|bytes| (1..=LOG_BYTES_MOST).contains(bytes));
        config.max_bytes = bytes.ok_or_else(|| {
            format!("`logging.options.max-size: {text}` is not a size up to {LOG_BYTES_MOST}")
        })?;
    }
    if let Some(text) = option("max-file") {
        let files = text.parse().ok().filter(|files| (1..=LOG_FILES_MOST).contains(files));
        config.files = files.ok_or_else(|| {
            format!("`logging.options.max-file: {text}` is not a number up to {LOG_FILES_MOST}")
        })?;
    }
    let known: &[&str] = match driver {
        "syslog" => &["tag", "syslog-address", "syslog-facility", "syslog-format"],
        "journald" => &["tag"],
        _ => &[],
    };
    let mut names = logging.options.keys().map(String::as_str);
    if let Some(name) = names.find(|name| !name.starts_with("max-") && !known.contains(name)) {
        return Err(format!("`logging.options.{name}` has no meaning for the driver `{driver}`"));
    }
    config.forward = match driver {
        "syslog" => Some(Forward::Syslog {
            to: address(option("syslog-address"))?,
            format: format(option("syslog-format"))?,
            facility: facility(option("syslog-facility"))?,
            tag: tag(task, image, option("tag"))?,
        }),
        "journald" => Some(Forward::Journal { fields: fields(task, image, option("tag"))? }),
        _ => None,
    };
    Ok(config)
}

/// `unixgram:///dev/log`, `udp://loghost:514`.
fn address(text: Option<&str>) -> Result<SyslogAddress, String> {
    let Some(text) = text else { return Ok(SyslogAddress::Unix(PathBuf::from(LOCAL_SYSLOG))) };
    match text.split_once("://") {
        Some(("unixgram", path)) if path.starts_with('/') => Ok(SyslogAddress::Unix(PathBuf::from(path))),
        Some(("udp", host)) if !host.is_empty() => {
            // The brackets of an IPv6 address have colons of their own between them.
            let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
            let address = if has_port { host.to_owned() } else { format!("{host}:{SYSLOG_PORT}") };
            Ok(SyslogAddress::Udp(address))
        }
        _ => Err(format!(
            "`logging.options.syslog-address: {text}` is neither `unixgram://PATH` nor `udp://HOST:PORT`"
        )),
    }
}

fn format(text: Option<&str>) -> Result<SyslogFormat, String> {
    match text {
        None | Some("") => Ok(SyslogFormat::Local),
        Some("rfc3164") => Ok(SyslogFormat::Rfc3164),
        Some("rfc5424") => Ok(SyslogFormat::Rfc5424),
        Some("rfc5424micro") => Ok(SyslogFormat::Rfc5424Micro),
        Some(other) => Err(format!("`logging.options.syslog-format: {other}` is not known")),
    }
}

/// A name or a number.
fn facility(text: Option<&str>) -> Result<u8, String> {
    let Some(text) = text else { return Ok(DAEMON) };
    let named = FACILITIES.iter().position(|name| *name == text).and_then(|at| u8::try_from(at).ok());
    let number = text.parse().ok().filter(|number| usize::from(*number) < FACILITIES.len());
    named.or(number).ok_or_else(|| format!("`logging.options.syslog-facility: {text}` is not known"))
}

/// Docker's templates: `{{.Name}}/{{.ID}}`. A log's tag is one word.
fn tag(task: &Task, image: &str, template: Option<&str>) -> Result<String, String> {
    let (short, id) = (short_id(task.id), task.id.to_string());
    let name = task.container_name();
    let reference = task.spec.compose.image.as_deref().unwrap_or_default();
    let known = [
        ("{{.ID}}", short.as_str()),
        ("{{.FullID}}", &id),
        ("{{.Name}}", &name),
        ("{{.ImageName}}", reference),
        ("{{.ImageFullID}}", image),
        ("{{.DaemonName}}", "orc"),
    ];
    let template = template.unwrap_or("{{.ID}}");
    let text = known.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value));
    match text.contains("{{") || text.contains(char::is_whitespace) || text.is_empty() {
        true => Err(format!("`logging.options.tag: {template}` is no word, or has an unknown template")),
        false => Ok(text),
    }
}

/// The names by which `journalctl` finds the lines of Docker's containers.
fn fields(task: &Task, image: &str, template: Option<&str>) -> Result<Vec<(String, String)>, String> {
    let tag = tag(task, image, template)?;
    let field = |name: &str, value: String| (name.to_owned(), value);
    Ok(vec![
        field("CONTAINER_ID", short_id(task.id)),
        field("CONTAINER_ID_FULL", task.id.to_string()),
        field("CONTAINER_NAME", task.container_name()),
        field("CONTAINER_TAG", tag.clone()),
        field("IMAGE_NAME", task.spec.compose.image.clone().unwrap_or_default()),
        field("SYSLOG_IDENTIFIER", tag),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_facilities_are_read_or_refused() {
        let udp = |text: &str| Ok(SyslogAddress::Udp(text.to_owned()));
        assert_eq!(address(None), Ok(SyslogAddress::Unix("/dev/log".into())));
        assert_eq!(address(Some("unixgram:///run/log")), Ok(SyslogAddress::Unix("/run/log".into())));
        assert_eq!(address(Some("udp://loghost")), udp("loghost:514"));
        assert_eq!(address(Some("udp://[::1]")), udp("[::1]:514"));
        assert_eq!(address(Some("udp://[::1]:5514")), udp("[::1]:5514"));
        assert!(address(Some("tcp://loghost:514")).unwrap_err().contains("is neither"));
        assert_eq!((facility(None), facility(Some("local7")), facility(Some("1"))), (Ok(3), Ok(23), Ok(1)));
        assert!(facility(Some("24")).is_err());
    }
}
