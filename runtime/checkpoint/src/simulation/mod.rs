//! The evidence for the protocol. It runs the machines of several writers against a model of the store and of two
//! sinks: in every order of events that the budget allows (`exhaustive`), and in many thousands of random orders with
//! larger budgets (`seeded`). Both must also notice when a rule is broken.
//!
//! The model shares no code with what it tests. It knows what was decided first under each number, and what each sink
//! should hold.

mod exhaustive;
mod model;
mod process;
mod seeded;
