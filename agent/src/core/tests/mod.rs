//! The core's behaviour as text: what happens, and what the agent then does and says.

mod adoption;
mod bench;
mod dying;
mod health;
mod hooks;
mod join;
mod life;
mod names;
mod restart;
mod stop;
mod translate;
