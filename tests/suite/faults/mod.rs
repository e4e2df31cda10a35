//! What the stories of faults need: a cloud that answers what it is told to, clients that write without pause, and a
//! diary of what they were promised.

pub mod asks;
pub mod diary;
pub mod dice;
pub mod evidence;
pub mod load;
pub mod root;
pub mod sts;
