//! Flags of commands, described to clap once a command line names the command: describing those of all forty
//! took a quarter of the time of a short one.

use std::ops::Deref;

use clap::builder::Resettable;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// The flags `T` of a command.
#[derive(Clone, Debug)]
pub(crate) struct Lazy<T>(Box<T>);

impl<T> Lazy<T> {
    /// The flags themselves.
    pub(crate) fn into_inner(self) -> T {
        *self.0
    }
}

impl<T> Deref for Lazy<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Args> Args for Lazy<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| described(command, T::augment_args))
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(|command| described(command, T::augment_args_for_update))
    }
}

impl<T: FromArgMatches> FromArgMatches for Lazy<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(|flags| Self(Box::new(flags)))
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(|flags| Self(Box::new(flags)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Adds the flags. What the command is about was said by the list of commands, and stays.
fn described(command: Command, flags: fn(Command) -> Command) -> Command {
    let about: Resettable<_> = command.get_about().cloned().into();
    let long: Resettable<_> = command.get_long_about().cloned().into();
    flags(command).about(about).long_about(long)
}
