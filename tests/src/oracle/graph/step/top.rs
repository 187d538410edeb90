//! Top gives the first rows of each key and window, by an order, once the window is over.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::{Around, Kept, Turn};
use crate::oracle::expr::Expr;
use crate::oracle::graph::tuple::Tuple;
use crate::oracle::replay;
use crate::oracle::value::Value;
use crate::oracle::window::Window;

#[derive(Debug, Clone, PartialEq)]
pub struct Top {
    pub from: String,
    pub key: Vec<String>,
    pub order_by: Vec<Rank>,
    pub limit: usize,
    /// Whether rows that tie with the last row within the limit are given too.
    pub keeps_ties: bool,
    /// Not a session. If absent, the windows that the input's rows carry.
    pub window: Option<Window>,
}

/// One criterion by which rows are ranked.
#[derive(Debug, Clone, PartialEq)]
pub struct Rank {
    pub expr: Expr,
    pub descending: bool,
    /// If absent: nulls are first if the order is ascending, and else last.
    pub nulls_first: Option<bool>,
}

impl Rank {
    fn order(&self, a: &Tuple, b: &Tuple) -> Ordering {
        let [a, b] = [a, b].map(|tuple| tuple.eval(&self.expr).expect("a row that was taken in"));
        let nulls_first = self.nulls_first.unwrap_or(!self.descending);
        match (a == Value::Null, b == Value::Null) {
            (true, true) => Ordering::Equal,
            (true, false) if nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if self.descending => b.order(&a),
            (false, false) => a.order(&b),
        }
    }

    fn document(&self) -> Json {
        let mut rank = json!({"expr": self.expr.sql(), "direction": if self.descending { "Desc" } else { "Asc" }});
        if let Some(first) = self.nulls_first {
            rank["nulls"] = json!(if first { "First" } else { "Last" });
        }
        rank
    }
}

impl Top {
    /// With a window of its own, a top gives the bounds as an aggregate does.
    pub(super) fn columns(&self, input: Vec<String>) -> Vec<String> {
        let bounds = if self.window.is_some() { &["window_start", "window_end"][..] } else { &[] };
        bounds.iter().map(|name| (*name).to_owned()).chain(input).collect()
    }

    fn windows(&self, tuple: &Tuple) -> Vec<(i64, i64)> {
        match self.window {
            Some(Window::Session { .. }) => panic!("no top over sessions"),
            Some(window) => window.of(tuple.at()),
            None => vec![tuple.bounds()],
        }
    }

    pub(super) fn takes(&self, tuple: &Tuple, around: Around) -> bool {
        self.windows(tuple).iter().all(|window| is_over(*window, around.before)) || self.evaluates(tuple)
    }

    fn evaluates(&self, tuple: &Tuple) -> bool {
        self.order_by.iter().all(|rank| tuple.eval(&rank.expr).is_ok())
    }

    pub(super) fn turn(&self, kept: &mut Kept, came: Vec<Tuple>, around: Around, columns: &[String]) -> Turn {
        let mut turn = Turn::default();
        for tuple in came {
            let (missed, open): (Vec<_>, Vec<_>) =
                self.windows(&tuple).into_iter().partition(|window| is_over(*window, around.before));
            for window in missed {
                let watermark = around.before.expect("it has closed the window");
                turn.late.push(replay::late_row(tuple.row.clone(), tuple.at(), window, watermark));
            }
            if open.is_empty() {
                turn.rows_late += 1;
            } else if self.evaluates(&tuple) {
                kept.rows.extend(open.into_iter().map(|window| Tuple { window: Some(window), ..tuple.clone() }));
            } else {
                turn.refuse();
            }
        }
        let (closed, open): (Vec<Tuple>, Vec<Tuple>) =
            std::mem::take(&mut kept.rows).into_iter().partition(|tuple| is_over(tuple.bounds(), around.after));
        kept.rows = open;
        let mut rankings: BTreeMap<((i64, i64), String), Vec<Tuple>> = BTreeMap::new();
        for tuple in closed {
            rankings.entry((tuple.bounds(), tuple.key(&self.key))).or_default().push(tuple);
        }
        for ((window, _), rows) in rankings {
            turn.leaves_at.push(window.1);
            turn.rows.extend(self.first(rows, columns).into_iter().map(|tuple| self.output(tuple, window)));
        }
        turn.waiting = kept.rows.len() as u64;
        turn.open_windows = Some(kept.rows.iter().map(Tuple::bounds).collect::<BTreeSet<_>>().len() as u64);
        turn
    }

    /// The rows within the limit. Among rows that tie, those come first that do so by all columns.
    fn first(&self, mut rows: Vec<Tuple>, columns: &[String]) -> Vec<Tuple> {
        let by_rank = |a: &Tuple, b: &Tuple| {
            self.order_by.iter().map(|rank| rank.order(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        rows.sort_by(|a, b| by_rank(a, b).then_with(|| a.by_columns(b, columns)));
        let Some(last) = rows.get(self.limit - 1).cloned() else { return rows };
        let ties = rows[self.limit..].iter().filter(|tuple| by_rank(tuple, &last).is_eq()).count();
        rows.truncate(self.limit + if self.keeps_ties { ties } else { 0 });
        rows
    }

    fn output(&self, tuple: Tuple, window: (i64, i64)) -> Tuple {
        let mut out = Tuple { time: Some(window.1 - 1), window: Some(window), ..tuple.keyed() };
        if self.window.is_some() {
            out.row.insert("window_start".into(), Value::Time(window.0));
            out.row.insert("window_end".into(), Value::Time(window.1));
        }
        out
    }

    pub(super) fn document(&self) -> Json {
        let order_by: Vec<Json> = self.order_by.iter().map(Rank::document).collect();
        let mut top = json!({"from": self.from, "key": self.key, "orderBy": order_by, "limit": self.limit});
        if self.keeps_ties {
            top["ties"] = json!("Keep");
        }
        if let Some(window) = self.window {
            top["window"] = window.document();
        }
        json!({"top": top})
    }
}

fn is_over((_, end): (i64, i64), watermark: Option<i64>) -> bool {
    watermark.is_some_and(|watermark| end <= watermark)
}
