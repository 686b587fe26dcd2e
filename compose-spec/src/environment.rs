//! The variables that interpolation has, and where each was set.

use std::collections::BTreeMap;

use crate::source::Span;
use crate::suggest;

/// Variables by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, Setting>,
}

/// The value of a variable.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The value.
    pub(crate) value: String,
    /// The line of an environment file that set it; `None` for the caller's environment.
    pub(crate) origin: Option<Span>,
}

impl Environment {
    /// The variables of the caller.
    pub(crate) fn of_caller(variables: &BTreeMap<String, String>) -> Self {
        let variables = variables
            .iter()
            .map(|(name, value)| (name.clone(), Setting { value: value.clone(), origin: None }))
            .collect();
        Self { variables }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|setting| setting.value.as_str())
    }

    pub(crate) fn setting(&self, name: &str) -> Option<&Setting> {
        self.variables.get(name)
    }

    /// The variable of an environment file whose name is nearest to one that is not set: surely a slip.
    pub(crate) fn similar(&self, name: &str) -> Option<(&str, Span)> {
        let from_files = || self.variables.iter().filter(|(_, setting)| setting.origin.is_some());
        let near = suggest::nearest(name, from_files().map(|(name, _)| name.as_str()))?;
        let origin = self.setting(near)?.origin?;
        Some((near, origin))
    }

    /// Sets a variable unless it is set already.
    pub(crate) fn set_default(&mut self, name: &str, value: String, origin: Option<Span>) {
        self.variables.entry(name.to_owned()).or_insert(Setting { value, origin });
    }

    /// Sets a variable.
    pub(crate) fn set(&mut self, name: &str, value: String, origin: Option<Span>) {
        self.variables.insert(name.to_owned(), Setting { value, origin });
    }

    /// Takes over every variable that is not set already.
    pub(crate) fn fill(&mut self, other: &Self) {
        for (name, setting) in &other.variables {
            self.variables.entry(name.clone()).or_insert_with(|| setting.clone());
        }
    }

    /// Names and values.
    pub(crate) fn to_map(&self) -> BTreeMap<String, String> {
        self.variables.iter().map(|(name, setting)| (name.clone(), setting.value.clone())).collect()
    }
}
