//! nftables without the `nft` program: the tables as values that print as text, and their encoding.

mod data;
mod encode;
pub(crate) mod foreign;
mod rule;
pub(crate) mod table;
mod transaction;

pub(crate) use data::{Datum, Element, Value};
pub(crate) use rule::Family;
pub(crate) use table::Names;
pub(crate) use transaction::Transaction;
