//! What names mean to the planner: functions, types, and syntax that stands for functions.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, Result, TableReference, plan_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, PlannerResult, RawFieldAccessExpr, TypePlanner};
use datafusion_expr::{AggregateUDF, Expr, GetFieldAccess, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion_functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion_functions_aggregate::planner::AggregateFunctionPlanner;
use datafusion_sql::sqlparser::ast::{ArrayElemTypeDef, DataType as SqlType, StructBracketKind, StructField};

use super::syntax::RANGES;
use crate::aggregate;
use crate::functions::{AT, scalar_functions};
use crate::types::DataType;

/// Spark's other names of functions.
const ALIASES: [(&str, &str); 8] = [
    ("dateadd", "date_add"),
    ("endswith", "ends_with"),
    ("lcase", "lower"),
    ("regexp", "regexp_like"),
    ("rlike", "regexp_like"),
    ("startswith", "starts_with"),
    ("to_unix_timestamp", "to_unixtime"),
    ("ucase", "upper"),
];

/// Built once: there are about two hundred functions, and a pipeline has many expressions.
pub(super) static CONTEXT: LazyLock<Context> = LazyLock::new(Context::new);

pub(super) struct Context {
    pub options: Arc<ConfigOptions>,
    /// Sorted, so that the suggestion for an unknown name is always the same.
    functions: BTreeMap<String, Arc<ScalarUDF>>,
    aggregates: BTreeMap<String, Arc<AggregateUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
    types: Arc<dyn TypePlanner>,
}

impl Context {
    fn new() -> Self {
        let mut functions = BTreeMap::new();
        for function in scalar_functions() {
            for alias in function.aliases() {
                functions.insert(alias.clone(), Arc::clone(&function));
            }
            functions.insert(function.name().to_owned(), function);
        }
        for (alias, name) in ALIASES {
            if let Some(function) = functions.get(name).cloned() {
                functions.insert(alias.to_owned(), function);
            }
        }
        let mut options = ConfigOptions::default();
        options.execution.time_zone = Some("UTC".to_owned());
        options.sql_parser.enable_ident_normalization = false;
        Self {
            options: Arc::new(options),
            functions,
            aggregates: aggregate::by_name().into_iter().map(|(name, a)| (name.to_owned(), a)).collect(),
            planners: vec![
                Arc::new(CoreFunctionPlanner {}),
                Arc::new(DatetimeFunctionPlanner),
                Arc::new(UnicodeFunctionPlanner),
                Arc::new(AggregateFunctionPlanner),
                Arc::new(FieldPlanner),
            ],
            types: Arc::new(DdlTypes),
        }
    }

    /// Whether there is a function or an aggregate of this name. `name` is in lower case.
    pub fn has_function(&self, name: &str) -> bool {
        self.functions.contains_key(name) || self.aggregates.contains_key(name)
    }

    /// The names of the functions that are no aggregates, without those that documents can't call.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str).filter(|name| !name.contains(' '))
    }
}

impl ContextProvider for Context {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        plan_err!("there is no table `{name}`: an expression sees the columns of one row")
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::clone(&self.types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(name).cloned()
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<ArrowType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.aggregates.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Makes the types in casts those of columns: a `timestamp` is in microseconds and UTC, a plain `decimal` is
/// `decimal(10,0)`.
#[derive(Debug)]
struct DdlTypes;

impl TypePlanner for DdlTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        match (DataType::parse(&written(sql_type)), sql_type) {
            (Ok(ours), _) => Ok(Some(Arc::new(Field::new("", ours.to_arrow(), true)))),
            (
                Err(why),
                SqlType::Custom(..) | SqlType::Decimal(_) | SqlType::Dec(_) | SqlType::Numeric(_) | SqlType::Map(..),
            ) => {
                plan_err!("{why}")
            }
            // The planner would accept the length and ignore it.
            (
                Err(_),
                SqlType::Varchar(Some(_))
                | SqlType::Char(Some(_))
                | SqlType::Character(Some(_))
                | SqlType::CharVarying(Some(_))
                | SqlType::CharacterVarying(Some(_))
                | SqlType::Nvarchar(Some(_)),
            ) => plan_err!(
                "`{}` is not a type here: strings have no length; use string, and left(…) to cut one",
                sql_type.to_string().to_lowercase()
            ),
            // Other SQL types (varchar, interval, smallint) are left to the planner: the result is then normalised, or
            // refused.
            (Err(_), _) => Ok(None),
        }
    }
}

/// The type as a document has it: the parser would write `map<string, int>` in parentheses.
fn written(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Map(key, value) => format!("map<{}, {}>", written(key), written(value)),
        SqlType::Array(ArrayElemTypeDef::AngleBracket(item)) => format!("array<{}>", written(item)),
        SqlType::Struct(fields, StructBracketKind::AngleBrackets) => {
            let field = |field: &StructField| {
                let name = field.field_name.as_ref().map_or_else(String::new, |name| format!("{name} "));
                name + &written(&field.field_type)
            };
            format!("struct<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Plans `s['a']` and `tags[0]`; the core planner knows only `s.a`.
#[derive(Debug)]
struct FieldPlanner;

impl ExprPlanner for FieldPlanner {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        match access.field_access {
            GetFieldAccess::NamedStructField { name } => {
                let args = vec![access.expr, Expr::Literal(name, None)];
                Ok(PlannerResult::Planned(datafusion_functions::core::get_field().call(args)))
            }
            GetFieldAccess::ListIndex { key } => match CONTEXT.get_function_meta(AT) {
                Some(at) => Ok(PlannerResult::Planned(at.call(vec![access.expr, *key]))),
                None => plan_err!("items of an array cannot be picked"),
            },
            GetFieldAccess::ListRange { .. } => plan_err!("{RANGES}"),
        }
    }
}
