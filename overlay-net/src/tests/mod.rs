//! Tests on real kernels: each has a machine of its own, made of namespaces, with a neighbour on its LAN.

mod balance;
mod dns;
mod machine;
mod matrix;
mod repair;
