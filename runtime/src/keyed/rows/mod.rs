//! What steps share that bring the rows of a key together and keep them as they are: how rows cross the edge, which of
//! them are late, and how their keys are compared.

pub(in crate::keyed) mod by_key;
pub(in crate::keyed) mod key_format;
pub(in crate::keyed) mod late;
pub(in crate::keyed) mod sender;
pub(in crate::keyed) mod waiting;
