//! Which services come before which.

use std::collections::{BTreeSet, VecDeque};

use crate::project::{Condition, Dependency, Project};

/// The dependencies between a project's services. An edge leads from a service to one it depends on.
#[derive(Clone, Debug)]
pub struct DependencyGraph {
    graph: petgraph::graphmap::DiGraphMap<usize, Dependency>,
    names: Vec<String>,
}

/// Services that depend on one another in a circle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("services depend on one another in a circle: {}", .0.join(" -> "))]
pub struct Cycle(
    /// The services in order; the first is repeated at the end.
    pub Vec<String>,
);

impl DependencyGraph {
    /// The graph of `depends_on`, in which the loader has put the implied dependencies too.
    #[must_use]
    pub fn new(project: &Project) -> Self {
        Self::from_edges(
            project.services.keys().map(String::as_str),
            project.services.iter().flat_map(|(name, service)| {
                service.depends_on.iter().map(move |(to, how)| (name.as_str(), to.as_str(), *how))
            }),
        )
    }

    /// The graph of the given services and dependencies; an edge to an unknown service is left out.
    pub fn from_edges<'a>(
        services: impl IntoIterator<Item = &'a str>,
        edges: impl IntoIterator<Item = (&'a str, &'a str, Dependency)>,
    ) -> Self {
        let mut names: Vec<String> = services.into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        let mut graph = petgraph::graphmap::DiGraphMap::new();
        for index in 0..names.len() {
            graph.add_node(index);
        }
        let find = |name: &str| names.binary_search_by(|known| known.as_str().cmp(name)).ok();
        for (from, to, how) in edges {
            if let (Some(from), Some(to)) = (find(from), find(to)) {
                graph.add_edge(from, to, how);
            }
        }
        Self { graph, names }
    }

    /// Every service after all it depends on; among equals by name.
    ///
    /// # Errors
    /// A circle, if there is one.
    pub fn start_order(&self) -> Result<Vec<&str>, Cycle> {
        let mut waits: Vec<usize> = (0..self.names.len()).map(|i| self.graph.neighbors(i).count()).collect();
        let mut ready: BTreeSet<usize> = (0..waits.len()).filter(|&i| waits[i] == 0).collect();
        let mut order = Vec::with_capacity(self.names.len());
        while let Some(next) = ready.pop_first() {
            order.push(self.names[next].as_str());
            for dependent in self.graph.neighbors_directed(next, petgraph::Incoming) {
                waits[dependent] -= 1;
                if waits[dependent] == 0 {
                    ready.insert(dependent);
                }
            }
        }
        match self.cycle() {
            Some(cycle) => Err(cycle),
            None => Ok(order),
        }
    }

    /// Every service before all it depends on.
    ///
    /// # Errors
    /// A circle, if there is one.
    pub fn stop_order(&self) -> Result<Vec<&str>, Cycle> {
        self.start_order().map(|mut order| {
            order.reverse();
            order
        })
    }

    /// What a service depends on directly, by name.
    pub fn dependencies(&self, service: &str) -> Vec<&str> {
        self.neighbours(service, petgraph::Outgoing)
    }

    /// What depends on a service directly, by name.
    pub fn dependents(&self, service: &str) -> Vec<&str> {
        self.neighbours(service, petgraph::Incoming)
    }

    fn neighbours(&self, service: &str, direction: petgraph::Direction) -> Vec<&str> {
        let Ok(index) = self.names.binary_search_by(|known| known.as_str().cmp(service)) else {
            return Vec::new();
        };
        let mut found: Vec<&str> =
            self.graph.neighbors_directed(index, direction).map(|i| self.names[i].as_str()).collect();
        found.sort_unstable();
        found
    }

    /// The shortest circle through the first service (by name) that is on one.
    #[must_use]
    pub fn cycle(&self) -> Option<Cycle> {
        let components = petgraph::algo::kosaraju_scc(&self.graph);
        let start = components
            .iter()
            .filter(|component| {
                component.len() > 1 || component.iter().any(|&i| self.graph.contains_edge(i, i))
            })
            .filter_map(|component| component.iter().min())
            .min()?;
        let mut came_from = vec![None; self.names.len()];
        let mut queue = VecDeque::from([*start]);
        while let Some(index) = queue.pop_front() {
            let mut next: Vec<usize> = self.graph.neighbors(index).collect();
            next.sort_unstable();
            for neighbour in next {
                if neighbour == *start {
                    return Some(self.circle(*start, index, &came_from));
                }
                if came_from[neighbour].is_none() {
                    came_from[neighbour] = Some(index);
                    queue.push_back(neighbour);
                }
            }
        }
        None
    }

    /// The way from `start` to `last`, closed at the end.
    fn circle(&self, start: usize, last: usize, came_from: &[Option<usize>]) -> Cycle {
        let mut way = vec![self.names[start].clone()];
        let mut at = last;
        while at != start {
            way.push(self.names[at].clone());
            // Every service of the way but the first was reached from another.
            let Some(from) = came_from[at] else { break };
            at = from;
        }
        way.push(self.names[start].clone());
        way.reverse();
        Cycle(way)
    }

    /// Services that nothing depends on, each with what it depends on below it, and what is waited for. What was
    /// shown before is not opened again but marked with `...`.
    ///
    /// ```text
    /// web
    /// ├─ api (healthy)
    /// │  └─ migration (completed)
    /// └─ cache (started, optional)
    /// ```
    #[must_use]
    pub fn tree(&self) -> String {
        let mut out = String::new();
        let mut shown = BTreeSet::new();
        let is_root = |i: &usize| self.graph.neighbors_directed(*i, petgraph::Incoming).next().is_none();
        let (roots, others): (Vec<usize>, Vec<usize>) = (0..self.names.len()).partition(is_root);
        // A circle has no start, so that those not shown yet are starts as well.
        for start in roots.into_iter().chain(others) {
            if !shown.contains(&start) {
                self.tree_below(start, &mut shown, &mut out);
            }
        }
        out
    }

    /// Draws one start and all below it. The stack is explicit, since a chain may be as long as the file allows.
    fn tree_below(&self, start: usize, shown: &mut BTreeSet<usize>, out: &mut String) {
        let mut open = vec![(start, String::new(), String::new(), String::new())];
        while let Some((index, branch, indent, how)) = open.pop() {
            let new = shown.insert(index);
            let mut below: Vec<usize> = self.graph.neighbors(index).collect();
            below.sort_unstable();
            let more = if new || below.is_empty() { "" } else { " ..." };
            out.push_str(&format!("{branch}{}{how}{more}\n", self.names[index]));
            if new {
                let last = below.last().copied();
                for child in below.into_iter().rev() {
                    let (corner, bar) =
                        if Some(child) == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                    let label = self
                        .graph
                        .edge_weight(index, child)
                        .map_or_else(String::new, |how| format!(" ({})", label(how)));
                    open.push((child, format!("{indent}{corner}"), format!("{indent}{bar}"), label));
                }
            }
        }
    }

    /// The graph in Graphviz's language.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut out = String::from("digraph {\n");
        for name in &self.names {
            out.push_str(&format!("  {name:?}\n"));
        }
        for (from, to, how) in self.edges() {
            let style = if how.required { "" } else { ", style=dashed" };
            out.push_str(&format!("  {from:?} -> {to:?} [label={:?}{style}]\n", label(&how)));
        }
        out.push_str("}\n");
        out
    }

    /// The graph in Mermaid's language.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut out = String::from("flowchart TD\n");
        for (index, name) in self.names.iter().enumerate() {
            out.push_str(&format!("  s{index}[{name:?}]\n"));
        }
        for (from, to, how) in self.sorted_edges() {
            let arrow = if how.required { "-->" } else { "-.->" };
            out.push_str(&format!("  s{from} {arrow}|{}| s{to}\n", label(&how)));
        }
        out
    }

    /// Every dependency as dependent, dependency and what is waited for; sorted by the names.
    pub fn edges(&self) -> impl Iterator<Item = (&str, &str, Dependency)> {
        self.sorted_edges()
            .into_iter()
            .map(|(from, to, how)| (self.names[from].as_str(), self.names[to].as_str(), how))
    }

    fn sorted_edges(&self) -> Vec<(usize, usize, Dependency)> {
        let mut edges: Vec<_> = self.graph.all_edges().map(|(from, to, how)| (from, to, *how)).collect();
        edges.sort_unstable_by_key(|(from, to, _)| (*from, *to));
        edges
    }
}

/// What an edge says: what is waited for, and what else is agreed.
fn label(how: &Dependency) -> String {
    let condition = match how.condition {
        Condition::Started => "started",
        Condition::Healthy => "healthy",
        Condition::CompletedSuccessfully => "completed",
    };
    let restart = if how.restart { ", restart" } else { "" };
    let optional = if how.required { "" } else { ", optional" };
    format!("{condition}{restart}{optional}")
}
