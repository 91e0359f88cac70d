//! Every promise of the store.
