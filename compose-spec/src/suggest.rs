//! "Did you mean": the nearest of some names.

/// How many names are compared with the wrong one.
const CANDIDATES: usize = 2_000;

/// The name that is most likely meant, if one is near enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let normal = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let wanted = normal(name);
    // A longer name forgives more; beyond 64 characters the comparison is not worth its time.
    if wanted.len() > 64 {
        return None;
    }
    let allowed = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .take(CANDIDATES)
        .filter(|candidate| candidate.len() <= 64)
        .map(|candidate| (distance(&wanted, &normal(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, removed, changed or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 0..from.len() {
        let mut row = vec![i + 1];
        for j in 0..to.len() {
            let change = last[j] + usize::from(from[i] != to[j]);
            let mut best = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from[i] == to[j - 1] && from[i - 1] == to[j] {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

/// Names in back quotes, in the order given: `` `a`, `b`, `c` ``; a long list is cut.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = names.into_iter().collect();
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// Advice for an unknown name: what is defined, and which one is near.
#[must_use]
pub fn defined<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if known.clone().into_iter().next().is_none() {
        return format!("no {kind} are defined");
    }
    let all = listed(known.clone());
    match nearest(name, known) {
        Some(near) => format!("defined {kind} are {all}; did you mean `{near}`?"),
        None => format!("defined {kind} are {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let known = ["image", "init", "ports", "environment", "depends_on"];
        for (typed, meant) in [
            ("imgae", Some("image")),
            ("port", Some("ports")),
            ("enviroment", Some("environment")),
            ("depends-on", Some("depends_on")),
            ("dependsOn", Some("depends_on")),
            ("quite_different", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
