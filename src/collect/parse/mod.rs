//! One file per family of sections: raw output to the shapes that `catalog/facts/*.yaml` describe.

pub(super) mod mounts;
pub(super) mod performance;
