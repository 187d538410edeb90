//! Unnest gives one row per element of a list.

use serde_json::{Value as Json, json};

use crate::oracle::expr::Expr;
use crate::oracle::graph::tuple::Tuple;
use crate::oracle::value::Value;

#[derive(Debug, Clone, PartialEq)]
pub struct Unnest {
    pub from: String,
    pub expr: Expr,
    /// The name of the element's column.
    pub element: String,
    /// The name of the column for the element's position, from 0.
    pub position: Option<String>,
    /// Whether a row whose list is empty or null gives one row with nulls.
    pub keeps_empty: bool,
}

impl Unnest {
    pub(super) fn columns(&self, mut input: Vec<String>) -> Vec<String> {
        let added = [Some(&self.element), self.position.as_ref()].into_iter().flatten();
        input.extend(added.cloned());
        input
    }

    /// `None` if the expression has no value for the row.
    pub(super) fn each(&self, tuple: &Tuple) -> Option<Vec<Tuple>> {
        let elements = match tuple.eval(&self.expr).ok()? {
            Value::Null => Vec::new(),
            Value::List(elements) => elements,
            other => panic!("{other:?} is no list"),
        };
        if elements.is_empty() && self.keeps_empty {
            return Some(vec![self.one(tuple, 0, Value::Null, Value::Null)]);
        }
        let row = |(i, element)| self.one(tuple, i, element, Value::Int(i64::try_from(i).unwrap()));
        Some(elements.into_iter().enumerate().map(row).collect())
    }

    fn one(&self, tuple: &Tuple, i: usize, element: Value, position: Value) -> Tuple {
        let mut one = tuple.clone();
        one.row.insert(self.element.clone(), element);
        if let Some(name) = &self.position {
            one.row.insert(name.clone(), position);
        }
        if let Some(origin) = &mut one.origin {
            origin.positions.push(i);
        }
        one
    }

    pub(super) fn document(&self) -> Json {
        let mut unnest = json!({"from": self.from, "expr": self.expr.sql(), "as": self.element});
        if let Some(position) = &self.position {
            unnest["position"] = json!(position);
        }
        if self.keeps_empty {
            unnest["empty"] = json!("Keep");
        }
        json!({"unnest": unnest})
    }
}
