//! Keeps sled's cache small.
//!
//! sled notes each visit of a node in one of 256 lists, and looks into a list, to see what is to leave its cache, only
//! when 64 visits are noted there. What is read once, here and there, would thus stay until 16,384 nodes were read: a
//! gigabyte. So a node that was not visited lately is visited so often that its list is looked into soon.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::limits::{STORE_CACHE_VISITS, STORE_NODE_BLOCKS};

/// Nodes remembered. In a cache of 16 MiB there is room for about as many.
const REMEMBERED: usize = 256;

/// The nodes visited lately.
pub struct Visited {
    /// By the node's number modulo [`REMEMBERED`]; 0 for none, else a number from 1.
    nodes: Vec<AtomicU32>,
}

impl Default for Visited {
    fn default() -> Self {
        Self { nodes: (0..REMEMBERED).map(|_| AtomicU32::new(0)).collect() }
    }
}

impl Visited {
    /// How often the node of a block is to be visited besides, now that it was visited once.
    pub fn visits_due(&self, block: u32) -> usize {
        let node = block / STORE_NODE_BLOCKS + 1;
        let last = self.nodes[node as usize % REMEMBERED].swap(node, Ordering::Relaxed);
        if last == node { 0 } else { STORE_CACHE_VISITS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_are_due_when_a_node_was_not_visited_lately() {
        let visited = Visited::default();
        assert_eq!(visited.visits_due(0), STORE_CACHE_VISITS);
        assert_eq!(visited.visits_due(STORE_NODE_BLOCKS - 1), 0, "the same node");
        assert_eq!(visited.visits_due(STORE_NODE_BLOCKS), STORE_CACHE_VISITS, "the next");
        let far = STORE_NODE_BLOCKS * REMEMBERED as u32;
        assert_eq!(visited.visits_due(far), STORE_CACHE_VISITS);
        assert_eq!(visited.visits_due(0), STORE_CACHE_VISITS, "another took its place");
    }
}
