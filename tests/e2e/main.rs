//! End to end: each scenario gets a machine of its own and drives only the `orc` program on it; what it
//! checks are containers, sockets, packets and files, and the words where words are the promise.

mod attributes;
mod commands;
mod confinement;
mod dependencies;
mod devices;
mod drivers;
mod engine;
mod errors;
mod grants;
mod health;
mod hello;
mod inherited;
mod lifecycle;
mod logging;
mod look;
mod names;
mod networks;
mod placement;
mod ports;
mod pre_start;
mod providers;
mod pulling;
mod real;
mod replacement;
mod restart;
mod run;
mod sharing;
mod stacks;
mod storage;
mod support;
mod survive;
mod telling;
mod up;
mod updates;
