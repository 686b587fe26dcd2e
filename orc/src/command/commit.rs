//! `orc commit`: an image of a service's container as it is now.

use api::convert::to_json;
use api::node::CommitRequest;
use clap::ArgAction::Set;
use serde_json::{Map, Value, json};

use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::{pick, project};

/// Flags of `orc commit`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who made it
    #[arg(short, long, default_value = "", hide_default_value = true)]
    author: String,
    /// A line as in a Dockerfile: CMD, ENTRYPOINT, USER or WORKDIR
    #[arg(short, long, value_name = "LINE")]
    change: Vec<String>,
    /// Which replica
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// Why it was made
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
    /// Stop the container's clock meanwhile
    #[arg(short, long, action = Set, default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL")]
    pause: bool,
    /// Service
    service: String,
    /// Name of the image
    reference: Option<String>,
}

/// Makes the image and prints its id.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let config = changes(&args.change)?;
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    let task = pick::container(&stack, view.as_ref(), &args.service, args.index)?;
    let request = CommitRequest {
        task: task.task.id.to_string(),
        reference: args.reference.clone(),
        author: args.author.clone(),
        message: args.message.clone(),
        config_json: to_json(&config),
        pause: args.pause,
        created: jiff::Timestamp::now().to_string(),
    };
    output.line(&client.commit(request).await?);
    Ok(())
}

/// Lines of a Dockerfile as parts of an image's configuration.
fn changes(lines: &[String]) -> Outcome<Map<String, Value>> {
    let mut config = Map::new();
    for line in lines {
        let (word, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let (key, value) = match word.to_ascii_uppercase().as_str() {
            "CMD" => ("Cmd", words(rest)),
            "ENTRYPOINT" => ("Entrypoint", words(rest)),
            "USER" => ("User", json!(rest)),
            "WORKDIR" => ("WorkingDir", json!(rest)),
            _ => {
                return Err(Failure::new(format!("`--change {line}` is not supported"))
                    .hint("CMD, ENTRYPOINT, USER and WORKDIR are"));
            }
        };
        config.insert(key.to_owned(), value);
    }
    Ok(config)
}

/// A list in JSON as it is; anything else is for a shell.
fn words(text: &str) -> Value {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => json!(words),
        Err(_) => json!(["/bin/sh", "-c", text]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_dockerfile_change_the_configuration() {
        let lines = ["cmd [\"a\", \"b\"]", "USER 7:8", "ENTRYPOINT run it"].map(str::to_owned);
        let expect = json!({"Cmd": ["a", "b"], "User": "7:8", "Entrypoint": ["/bin/sh", "-c", "run it"]});
        assert_eq!(Value::Object(changes(&lines).unwrap()), expect);
        assert!(changes(&["FROM x".to_owned()]).is_err());
    }
}
