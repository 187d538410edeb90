//! Tests of valid and invalid documents. They are one program, because each program links the planner.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "tests measure and draw as they like")]

mod bad_columns;
mod bad_commas;
mod bad_graph;
mod bad_groups;
mod bad_maps;
mod bad_modes;
mod bad_operation;
mod bad_places;
mod bad_security;
mod bad_shape;
mod bad_steps;
mod bad_time;
mod bad_yaml;
mod changed_columns;
mod examples;
mod final_shape;
mod former;
mod hostile;
mod lists;
mod lowering;
mod mutations;
mod not_yaml;
mod notices;
mod overrides;
mod reference;
mod right;
mod secrets;
mod shape;
mod short_forms;
mod sql;
mod stored;
mod unbuilt;
