//! The keys of maps that a condition asks for: `labels.pool`, `labels["pool"]`.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators};

/// Keys of maps, by the map's name.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    read: BTreeSet<(String, String)>,
    tested: BTreeSet<(String, String)>,
}

impl Keys {
    /// What an expression asks for.
    pub(super) fn of(expression: &Expr) -> Self {
        let mut keys = Self::default();
        keys.collect(expression);
        keys
    }

    /// The keys of this map that are read.
    pub(super) fn read<'a>(&'a self, map: &'a str) -> impl Iterator<Item = &'a str> {
        self.read.iter().filter(move |(of, _)| of == map).map(|(_, key)| key.as_str())
    }

    /// The keys of this map that are read without asking `has()` first.
    pub(super) fn needed<'a>(&'a self, map: &'a str) -> impl Iterator<Item = &'a str> {
        self.read(map).filter(move |key| !self.tested.contains(&(map.to_owned(), (*key).to_owned())))
    }

    fn collect(&mut self, expression: &Expr) {
        match expression {
            Expr::Select(select) => {
                if let Expr::Ident(map) = &select.operand.expr {
                    let into = if select.test { &mut self.tested } else { &mut self.read };
                    into.insert((map.clone(), select.field.clone()));
                }
                self.collect(&select.operand.expr);
            }
            Expr::Call(call) => {
                if let (operators::INDEX, [map, key]) = (call.func_name.as_str(), &call.args[..])
                    && let (Expr::Ident(map), Expr::Literal(LiteralValue::String(key))) = (&map.expr, &key.expr)
                {
                    self.read.insert((map.clone(), key.inner().to_owned()));
                }
                call.target.iter().for_each(|target| self.collect(&target.expr));
                call.args.iter().for_each(|argument| self.collect(&argument.expr));
            }
            Expr::Comprehension(each) => {
                let parts = [&each.iter_range, &each.accu_init, &each.loop_cond, &each.loop_step, &each.result];
                parts.into_iter().for_each(|part| self.collect(&part.expr));
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.collect(&element.expr)),
            Expr::Map(map) => self.entries(map.entries.iter().map(|e| &e.expr)),
            Expr::Struct(of) => self.entries(of.entries.iter().map(|e| &e.expr)),
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn entries<'a>(&mut self, entries: impl Iterator<Item = &'a EntryExpr>) {
        for entry in entries {
            match entry {
                EntryExpr::StructField(field) => self.collect(&field.value.expr),
                EntryExpr::MapEntry(pair) => {
                    self.collect(&pair.key.expr);
                    self.collect(&pair.value.expr);
                }
            }
        }
    }
}
