//! Exclusive canonical form without comments (W3C xml-exc-c14n): the octets that a signature covers.

use std::sync::Arc;

use super::{Binding, Element, Node, XML, attribute, text};

/// The canonical form of `element` as a document of its own, without the child at `without` (an enveloped signature).
/// Namespaces of the prefixes in `inclusive` are written wherever they are in force; the others where they are used.
pub fn canonical(element: &Element, without: Option<usize>, inclusive: &[&str]) -> String {
    let mut writer = Writer { out: String::with_capacity(4096), inclusive, rendered: Vec::new() };
    writer.element(element, without);
    writer.out
}

struct Writer<'a> {
    out: String,
    inclusive: &'a [&'a str],
    /// Bindings that the elements around have written, nearest last.
    rendered: Vec<Binding>,
}

impl Writer<'_> {
    fn element(&mut self, element: &Element, without: Option<usize>) {
        let outside = self.rendered.len();
        self.open('<', element);
        for (prefix, namespace) in self.bindings(element) {
            self.out.push_str(" xmlns");
            if !prefix.is_empty() {
                self.out.push(':');
                self.out.push_str(&prefix);
            }
            self.out.push_str("=\"");
            attribute(&namespace, &mut self.out);
            self.out.push('"');
            self.rendered.push((prefix, namespace));
        }
        let mut attributes: Vec<_> = element.attributes.iter().collect();
        attributes.sort_by(|a, b| (&*a.namespace, &*a.local).cmp(&(&*b.namespace, &*b.local)));
        for it in attributes {
            self.out.push(' ');
            if !it.prefix.is_empty() {
                self.out.push_str(&it.prefix);
                self.out.push(':');
            }
            self.out.push_str(&it.local);
            self.out.push_str("=\"");
            attribute(&it.value, &mut self.out);
            self.out.push('"');
        }
        self.out.push('>');
        for (at, node) in element.children.iter().enumerate() {
            match node {
                Node::Element(_) if without == Some(at) => {}
                Node::Element(child) => self.element(child, None),
                Node::Text(words) => text(words, &mut self.out),
            }
        }
        self.out.push('<');
        self.open('/', element);
        self.out.push('>');
        self.rendered.truncate(outside);
    }

    fn open(&mut self, mark: char, element: &Element) {
        self.out.push(mark);
        if !element.prefix.is_empty() {
            self.out.push_str(&element.prefix);
            self.out.push(':');
        }
        self.out.push_str(&element.local);
    }

    /// What this element must declare, in the order of the prefixes.
    fn bindings(&self, element: &Element) -> Vec<Binding> {
        let mut wanted: Vec<Binding> = vec![(element.prefix.clone(), element.namespace.clone())];
        let prefixed = element.attributes.iter().filter(|it| !it.prefix.is_empty());
        wanted.extend(prefixed.map(|it| (it.prefix.clone(), it.namespace.clone())));
        for &prefix in self.inclusive {
            let prefix = if prefix == "#default" { "" } else { prefix };
            if let Some(binding) = element.scope.iter().rev().find(|(bound, _)| **bound == *prefix) {
                wanted.push(binding.clone());
            }
        }
        wanted.sort();
        wanted.dedup();
        wanted.retain(|(prefix, namespace)| **namespace != *XML && !self.is_rendered(prefix, namespace));
        wanted
    }

    fn is_rendered(&self, prefix: &Arc<str>, namespace: &Arc<str>) -> bool {
        match self.rendered.iter().rev().find(|(bound, _)| bound == prefix) {
            Some((_, already)) => already == namespace,
            // `xmlns=""` says nothing where nothing was said before.
            None => prefix.is_empty() && namespace.is_empty(),
        }
    }
}
