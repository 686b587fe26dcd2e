//! What must be survived. Each scenario's name begins with the number of its fault, and its comment says what
//! happens and what must hold then; `docs/what-we-survive.md` is made from both.

mod clients;
mod containers;
mod disk;
mod engines;
mod images;
mod kills;
mod networks;
mod page;
mod people;
mod reboot;
mod registries;
