//! End to end: each scenario gets a machine of its own and drives only the `orc` program on it; what it
//! checks are containers, sockets, packets and files, and the words where words are the promise.

mod commands;
mod confinement;
mod engine;
mod errors;
mod hello;
mod lifecycle;
mod look;
mod names;
mod ports;
mod run;
mod support;
mod survive;
mod telling;
mod up;
