//! Puts the members of definitions into their order, and a blank line between definitions. Works on the text through the
//! syntax tree, so that every comment moves with the member that it stands at.

use std::ops::Range;

use yaml_parser::{SyntaxKind as K, SyntaxNode, SyntaxToken};

use super::shape::{File, Level};

/// The text with members in order; the layout is left to the printer.
pub(super) fn arrange(tree: &SyntaxNode, text: &str, shape: Option<&File>) -> String {
    let Some(file) = shape else { return text.to_owned() };
    let mut found = Found { text, moves: Vec::new(), gaps: Vec::new() };
    for document in tree.children().filter(|node| node.kind() == K::DOCUMENT) {
        found.value(&document, Level::File(file));
    }
    let Found { mut moves, mut gaps, .. } = found;
    if moves.is_empty() && gaps.is_empty() {
        return text.to_owned();
    }
    // Outer maps before those that begin with them.
    moves.sort_by_key(|m| (m.start(), std::cmp::Reverse(m.end())));
    gaps.sort_unstable();
    let mut out = String::with_capacity(text.len() + gaps.len());
    Writer { text, moves: &moves, gaps: &gaps }.write(0..text.len(), &mut out);
    out
}

/// A bracket that closes on a line of its own stands deeper than the key that it belongs to: strict readers of YAML want that.
pub(super) fn close(tree: &SyntaxNode, text: String) -> String {
    let flow = |kind: K| matches!(kind, K::FLOW_SEQ | K::FLOW_MAP);
    let outermost = tree.descendants().filter(|node| flow(node.kind()) && !node.ancestors().skip(1).any(|above| flow(above.kind())));
    let mut places: Vec<usize> = outermost
        .filter_map(|node| node.last_token())
        .filter(|last| matches!(last.kind(), K::R_BRACKET | K::R_BRACE))
        .filter(|last| last.prev_token().is_some_and(|before| before.kind() == K::WHITESPACE && before.text().contains('\n')))
        .map(|last| last.text_range().start().into())
        .collect();
    places.sort_unstable();
    if places.is_empty() {
        return text;
    }
    let (mut out, mut at) = (String::with_capacity(text.len() + 2 * places.len()), 0);
    for place in places {
        out.push_str(&text[at..place]);
        out.push_str("  ");
        at = place;
    }
    out + &text[at..]
}

/// The members of one map and the order that they are to have.
struct Move {
    members: Vec<Range<usize>>,
    order: Vec<usize>,
}

impl Move {
    fn start(&self) -> usize {
        self.members.first().map_or(0, |member| member.start)
    }

    fn end(&self) -> usize {
        self.members.last().map_or(0, |member| member.end)
    }
}

struct Found<'a> {
    text: &'a str,
    moves: Vec<Move>,
    /// Where a line break is missing.
    gaps: Vec<usize>,
}

struct Entry {
    key: String,
    node: SyntaxNode,
    value: Option<SyntaxNode>,
}

impl Found<'_> {
    /// Looks at what stands in a document, a value of a map or an item of a list.
    fn value(&mut self, holder: &SyntaxNode, level: Level<'_>) {
        let Some(content) = content(holder) else { return };
        let items = |node: &SyntaxNode, kind: K| node.children().filter(move |child| child.kind() == kind).collect::<Vec<_>>();
        let lists = match content.kind() {
            K::BLOCK_SEQ => items(&content, K::BLOCK_SEQ_ENTRY),
            K::FLOW_SEQ => items(&content, K::FLOW_SEQ_ENTRIES).iter().flat_map(|list| items(list, K::FLOW_SEQ_ENTRY)).collect(),
            _ => return self.map(&content, level),
        };
        for item in lists {
            self.value(&item, level.item());
        }
    }

    fn map(&mut self, map: &SyntaxNode, level: Level<'_>) {
        let entries = entries(map);
        let keys: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        for entry in &entries {
            if let Some(value) = &entry.value {
                self.value(value, level.member(&entry.key, &keys));
            }
        }
        let block = map.kind() == K::BLOCK_MAP;
        if block && level.spaced() {
            let members = members(self.text, &entries);
            let long = |member: &Range<usize>| self.text[member.clone()].contains('\n');
            for pair in members.windows(2) {
                let between = pair[0].end..pair[1].start;
                if self.text[between.clone()].matches('\n').count() < 2 && (long(&pair[0]) || long(&pair[1])) {
                    self.gaps.push(between.start);
                }
            }
        }
        let Some(order) = level.order() else { return };
        let mut sorted: Vec<usize> = (0..entries.len()).collect();
        sorted.sort_by_key(|i| order.rank(&keys[*i]));
        if sorted.iter().enumerate().all(|(slot, member)| slot == *member) || tied(map, &entries) {
            return;
        }
        let members = if block { members(self.text, &entries) } else { entries.iter().map(|entry| range(&entry.node)).collect() };
        self.moves.push(Move { members, order: sorted });
    }
}

/// Whether the members cannot change places: an alias has to follow its anchor, line breaks that are kept belong to the
/// place, and comments within braces cannot be told apart.
fn tied(map: &SyntaxNode, entries: &[Entry]) -> bool {
    let comment = |map: &SyntaxNode| map.descendants_with_tokens().any(|element| element.kind() == K::COMMENT);
    if map.kind() == K::FLOW_MAP && comment(map) {
        return true;
    }
    if map.descendants().any(|node| node.kind() == K::CHOMPING_INDICATOR && node.text().contains_char('+')) {
        return true;
    }
    let named = |entry: &&Entry| entry.node.descendants().any(|node| matches!(node.kind(), K::ANCHOR_PROPERTY | K::ALIAS));
    map.descendants().any(|node| node.kind() == K::ANCHOR_PROPERTY) && entries.iter().filter(named).nth(1).is_some()
}

/// The map or list below a document, a value or an item, whatever wraps it.
fn content(holder: &SyntaxNode) -> Option<SyntaxNode> {
    let mut node = holder.clone();
    loop {
        let inner = node
            .children()
            .find(|child| matches!(child.kind(), K::BLOCK | K::FLOW | K::BLOCK_MAP | K::FLOW_MAP | K::BLOCK_SEQ | K::FLOW_SEQ))?;
        if !matches!(inner.kind(), K::BLOCK | K::FLOW) {
            return Some(inner);
        }
        node = inner;
    }
}

fn entries(map: &SyntaxNode) -> Vec<Entry> {
    let of = |node: &SyntaxNode, kinds: [K; 2]| node.children().find(|child| kinds.contains(&child.kind()));
    let holders: Vec<SyntaxNode> = if map.kind() == K::BLOCK_MAP {
        vec![map.clone()]
    } else {
        map.children().filter(|node| node.kind() == K::FLOW_MAP_ENTRIES).collect()
    };
    let nodes = holders.iter().flat_map(SyntaxNode::children);
    nodes
        .filter(|node| matches!(node.kind(), K::BLOCK_MAP_ENTRY | K::FLOW_MAP_ENTRY))
        .map(|node| Entry {
            key: of(&node, [K::BLOCK_MAP_KEY, K::FLOW_MAP_KEY]).map(|key| name(&key)).unwrap_or_default(),
            value: of(&node, [K::BLOCK_MAP_VALUE, K::FLOW_MAP_VALUE]),
            node,
        })
        .collect()
}

/// A key without its quotes. Those of types have no escapes.
fn name(key: &SyntaxNode) -> String {
    let scalar = key
        .descendants_with_tokens()
        .filter_map(yaml_parser::SyntaxElement::into_token)
        .find(|token| matches!(token.kind(), K::PLAIN_SCALAR | K::DOUBLE_QUOTED_SCALAR | K::SINGLE_QUOTED_SCALAR));
    scalar.map(|token| token.text().trim_matches(['"', '\'']).to_owned()).unwrap_or_default()
}

fn range(node: &SyntaxNode) -> Range<usize> {
    node.text_range().start().into()..node.text_range().end().into()
}

/// Where the entries of a block map stand, each with the comment lines above it and the comment at the end of its line.
fn members(text: &str, entries: &[Entry]) -> Vec<Range<usize>> {
    let mut members: Vec<Range<usize>> = Vec::with_capacity(entries.len());
    for entry in entries {
        let own = range(&entry.node);
        let taken = members.last().map_or(0, |before| before.end);
        let start = entry.node.first_token().map_or(own.start, |token| above(token, own.start, taken));
        let end = entry.node.last_token().map_or(own.end, |token| beside(&token, own.end));
        // A comment that stands deeper than this entry ends the block of the one before.
        if let Some(before) = members.last_mut() {
            before.end += text[before.end..start].trim_end().len();
        }
        members.push(start..end);
    }
    members
}

/// The start of the comment lines above a token; its own where there are none. What the entry before it has is not looked at.
fn above(mut token: SyntaxToken, mut start: usize, taken: usize) -> usize {
    let mut column = None;
    loop {
        let Some(depth) = token.prev_token().as_ref().and_then(depth_after) else { return start };
        column.get_or_insert(depth);
        let Some(comment) = token.prev_token().and_then(|blank| blank.prev_token()).filter(|t| t.kind() == K::COMMENT) else {
            return start;
        };
        // A comment at the end of a line belongs to that line, one that stands deeper to the block before.
        let begin: usize = comment.text_range().start().into();
        let deep = comment.prev_token().as_ref().and_then(depth_after);
        if begin < taken || deep.is_none_or(|deep| column.is_some_and(|column| deep > column)) {
            return start;
        }
        start = begin;
        token = comment;
    }
}

/// How deep the line after this blank begins; nothing where it is not a line's end.
fn depth_after(blank: &SyntaxToken) -> Option<usize> {
    let (_, depth) = Some(blank.text()).filter(|_| blank.kind() == K::WHITESPACE)?.rsplit_once('\n')?;
    Some(depth.len())
}

/// The end of the comment on the same line, where there is one.
fn beside(last: &SyntaxToken, end: usize) -> usize {
    let comment = |token: SyntaxToken| (token.kind() == K::COMMENT).then(|| token.text_range().end().into());
    let Some(next) = last.next_token() else { return end };
    if next.kind() == K::WHITESPACE && !next.text().contains('\n') {
        return next.next_token().and_then(comment).unwrap_or(end);
    }
    end
}

struct Writer<'a> {
    text: &'a str,
    moves: &'a [Move],
    gaps: &'a [usize],
}

impl Writer<'_> {
    /// Writes a part of the text, with what is to move within it in its new place.
    fn write(&self, part: Range<usize>, out: &mut String) {
        let mut at = part.start;
        let first = self.moves.partition_point(|m| m.start() < part.start);
        for m in self.moves[first..].iter().take_while(|m| m.start() < part.end) {
            // What begins within a map that was written is part of it; what ends later holds this part.
            if m.start() < at || m.end() > part.end {
                continue;
            }
            self.copy(at..m.start(), out);
            for (slot, member) in m.order.iter().enumerate() {
                self.write(m.members[*member].clone(), out);
                if let Some(next) = m.members.get(slot + 1) {
                    self.copy(m.members[slot].end..next.start, out);
                }
            }
            at = m.end();
        }
        self.copy(at..part.end, out);
    }

    fn copy(&self, part: Range<usize>, out: &mut String) {
        let mut at = part.start;
        let first = self.gaps.partition_point(|gap| *gap < part.start);
        for gap in self.gaps[first..].iter().take_while(|gap| **gap < part.end) {
            out.push_str(&self.text[at..*gap]);
            out.push('\n');
            at = *gap;
        }
        out.push_str(&self.text[at..part.end]);
    }
}
