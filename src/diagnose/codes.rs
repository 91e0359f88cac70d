//! The pages behind the codes, one Markdown file each.

use include_dir::{Dir, include_dir};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/diagnose/codes");

/// The page of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// `RMM0301`.
    pub code: &'static str,
    /// What the first line says.
    pub title: &'static str,
    /// The whole Markdown.
    pub text: &'static str,
}

/// All pages, by code.
pub fn pages() -> Vec<Page> {
    let mut pages: Vec<Page> = PAGES
        .files()
        .filter_map(|file| {
            let text = file.contents_utf8()?;
            let title = text.lines().next()?.trim_start_matches('#').trim();
            Some(Page { code: file.path().file_stem()?.to_str()?, title, text })
        })
        .collect();
    pages.sort_by_key(|page| page.code);
    pages
}

/// The page of a code, in any case of letters.
pub fn page(code: &str) -> Option<Page> {
    pages().into_iter().find(|page| page.code.eq_ignore_ascii_case(code))
}
