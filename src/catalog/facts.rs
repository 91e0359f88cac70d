//! tmp
/// p
pub struct FactPage { /// n
    pub name: String, /// c
    pub category: String, /// s
    pub summary: String }
impl FactPage { /// m
    pub fn to_markdown(&self) -> String { String::new() } }
/// p
pub fn pages() -> Vec<FactPage> { Vec::new() }
/// p
pub fn page(_n: &str) -> Option<FactPage> { None }
