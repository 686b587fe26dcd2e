//! nftables without the `nft` program: the tables as values that print as text, and their encoding.

mod data;
mod encode;
pub(crate) mod foreign;
pub(crate) mod names;
mod rule;
pub(crate) mod table;
mod transaction;

pub(crate) use data::{Datum, Element, Value};
pub(crate) use names::Names;
pub(crate) use rule::Family;
pub(crate) use transaction::Transaction;
