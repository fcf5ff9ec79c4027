//! All path patterns as one tree: the first route that a path matches, without a look at the others.
//!
//! A node is a place after some segments. The way down takes the literal child and the `*` child,
//! never more, and leaves out every branch whose routes all come after one that was found already.

use std::borrow::Cow;

use ahash::AHashMap;

use crate::model::path;
use crate::settings::{PathPattern, Segment};

/// Where a route stands among the others.
pub(super) type Place = usize;

const ROOT: usize = 0;

#[derive(Debug)]
pub(super) struct Index {
    nodes: Vec<Node>,
    /// Segments of the longest pattern.
    depth: usize,
}

#[derive(Debug)]
struct Node {
    literal: AHashMap<Box<[u8]>, usize>,
    any: Option<usize>,
    /// Routes whose pattern ends here, in their order.
    ends: Vec<Place>,
    /// Routes whose pattern goes on with `**` from here, in their order.
    rest: Vec<Place>,
    /// The first of all routes here and below.
    first: Place,
}

/// What came of a search.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Found {
    /// The first route that matches and was accepted.
    pub(super) route: Option<Place>,
    /// How many nodes were looked at.
    pub(super) visited: usize,
}

impl Node {
    fn new(first: Place) -> Self {
        Self {
            literal: AHashMap::new(),
            any: None,
            ends: Vec::new(),
            rest: Vec::new(),
            first,
        }
    }
}

impl Index {
    /// The index of the patterns of all routes, in the order of the routes.
    pub(super) fn build<'p>(routes: impl Iterator<Item = &'p [PathPattern]>) -> Self {
        let mut index = Self {
            nodes: vec![Node::new(0)],
            depth: 0,
        };
        for (place, patterns) in routes.enumerate() {
            for pattern in patterns {
                index.add(place, pattern);
            }
        }
        index
    }

    fn add(&mut self, place: Place, pattern: &PathPattern) {
        self.depth = self.depth.max(pattern.segments.len());
        let mut at = ROOT;
        for segment in &pattern.segments {
            let new = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else {
                return;
            };
            at = match segment {
                Segment::Literal(bytes) => *node.literal.entry(bytes.clone()).or_insert(new),
                Segment::Any => *node.any.get_or_insert(new),
            };
            if at == new {
                self.nodes.push(Node::new(place));
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            let list = if pattern.rest {
                &mut node.rest
            } else {
                &mut node.ends
            };
            // One route may say a pattern twice.
            if list.last() != Some(&place) {
                list.push(place);
            }
        }
    }

    /// The first route with a pattern for this path that `accepts` takes.
    pub(super) fn find(&self, path: &str, accepts: impl FnMut(Place) -> bool) -> Found {
        // One more than any pattern has tells "ends here" from "goes on".
        let segments: Vec<_> = path::segments(path).take(self.depth + 1).collect();
        let mut search = Search {
            index: self,
            accepts,
            found: Found {
                route: None,
                visited: 0,
            },
        };
        search.visit(ROOT, &segments);
        search.found
    }
}

struct Search<'i, F> {
    index: &'i Index,
    accepts: F,
    found: Found,
}

impl<F: FnMut(Place) -> bool> Search<'_, F> {
    /// As deep as the deepest pattern, which is 64 segments, however long the path.
    fn visit(&mut self, at: usize, segments: &[Cow<'_, [u8]>]) {
        let index = self.index;
        let Some(node) = index.nodes.get(at) else {
            return;
        };
        if self.found.route.is_some_and(|best| best <= node.first) {
            return;
        }
        self.found.visited += 1;
        self.take(&node.rest);
        let Some((segment, below)) = segments.split_first() else {
            self.take(&node.ends);
            return;
        };
        if let Some(child) = node.literal.get(&**segment) {
            self.visit(*child, below);
        }
        if let Some(child) = node.any
            && !segment.is_empty()
        {
            self.visit(child, below);
        }
    }

    fn take(&mut self, places: &[Place]) {
        for place in places {
            if self.found.route.is_some_and(|best| best <= *place) {
                return;
            }
            if (self.accepts)(*place) {
                self.found.route = Some(*place);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> PathPattern {
        let mut segments: Vec<&str> = text.strip_prefix('/').unwrap().split('/').collect();
        let rest = segments.pop_if(|last| *last == "**").is_some();
        let segments = segments.into_iter().map(|segment| match segment {
            "*" => Segment::Any,
            literal => Segment::Literal(literal.as_bytes().into()),
        });
        PathPattern {
            segments: segments.collect(),
            rest,
        }
    }

    fn index(patterns: &[String]) -> Index {
        let routes: Vec<[PathPattern; 1]> = patterns.iter().map(|text| [pattern(text)]).collect();
        Index::build(routes.iter().map(<[_; 1]>::as_slice))
    }

    fn find(index: &Index, path: &str) -> Found {
        index.find(path, |_| true)
    }

    /// The definition, segment by segment.
    fn fits(pattern: &str, path: &str) -> bool {
        let mut given = path[1..].split('/');
        let mut wanted = pattern[1..].split('/').peekable();
        while let Some(segment) = wanted.next() {
            if segment == "**" && wanted.peek().is_none() {
                return true;
            }
            match (segment, given.next()) {
                ("*", Some(given)) if !given.is_empty() => {}
                (segment, Some(given)) if segment == given && segment != "*" => {}
                _ => return false,
            }
        }
        given.next().is_none()
    }

    fn texts(last: &'static [&'static str]) -> impl Strategy<Value = String> {
        let segment = prop::sample::select(&["a", "b", "c", "*"][..]);
        let last = prop::sample::select(last);
        (prop::collection::vec(segment, 0..4), last).prop_map(|(segments, last)| {
            format!("/{}", [&segments[..], &[last]].concat().join("/"))
        })
    }

    proptest! {
        #[test]
        fn the_first_match_is_found(
            patterns in prop::collection::vec(texts(&["a", "b", "*", "**", ""]), 1..20),
            path in texts(&["a", "b", ""]).prop_map(|path| path.replace('*', "x")),
        ) {
            let expected = patterns.iter().position(|pattern| fits(pattern, &path));
            prop_assert_eq!(find(&index(&patterns), &path).route, expected);
        }

        #[test]
        fn what_is_covered_is_never_reached(
            patterns in prop::collection::vec(texts(&["a", "*", "**", ""]), 2),
            path in texts(&["a", "b", ""]).prop_map(|path| path.replace('*', "x")),
        ) {
            let [first, second] = [0, 1].map(|at| pattern(&patterns[at]));
            if first.covers(&second) {
                prop_assert_ne!(find(&index(&patterns), &path).route, Some(1));
            }
        }
    }

    #[test]
    fn ten_thousand_routes_cost_no_more_than_ten() {
        let routes = |count: usize| {
            let mut patterns: Vec<String> = (0..count)
                .map(|number| match number % 3 {
                    0 => format!("/api/v{number}/items"),
                    1 => format!("/api/v{number}/*/edit"),
                    _ => format!("/api/v{number}/**"),
                })
                .collect();
            patterns.push("/**".to_owned());
            index(&patterns)
        };
        let (few, many) = (routes(10), routes(10_000));
        for (path, few_find, many_find) in [
            ("/api/v9/items", Some(9), Some(9)),
            ("/api/v7/x/edit", Some(7), Some(7)),
            ("/api/v8/a/b/c/d", Some(8), Some(8)),
            ("/nothing/here", Some(10), Some(10_000)),
        ] {
            let (few, many) = (find(&few, path), find(&many, path));
            assert_eq!((few.route, many.route), (few_find, many_find), "{path}");
            assert_eq!(few.visited, many.visited, "{path}");
            assert!(many.visited <= 5, "{path}: {many:?}");
        }
    }

    #[test]
    fn a_route_that_is_not_accepted_leaves_the_next_one() {
        let index = index(&["/a".to_owned(), "/*".to_owned(), "/a".to_owned()]);
        assert_eq!(index.find("/a", |place| place != 0).route, Some(1));
        assert_eq!(index.find("/a", |place| place == 2).route, Some(2));
        assert_eq!(index.find("/a", |_| false).route, None);
    }

    #[test]
    fn a_path_that_never_ends_goes_no_deeper_than_the_patterns() {
        let index = index(&["/a/**".to_owned(), "/*/*".to_owned()]);
        let found = find(&index, &"/a".repeat(100_000));
        assert_eq!((found.route, found.visited), (Some(0), 2));
    }
}
