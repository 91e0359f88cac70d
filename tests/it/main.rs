//! Tests of the whole: the real binary, real servers, and the rules that the source keeps.

mod floors;
mod pages;
