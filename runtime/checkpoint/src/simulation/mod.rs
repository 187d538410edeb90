//! The proof of the protocol: the machines of several writers against a model of the store and of two sinks, in every
//! order of events that the budget allows (`exhaustive`), and in many thousands of random ones with larger budgets
//! (`seeded`). Both must also notice when a rule is broken.
//!
//! The model is written apart from the code that it tries: it knows what was decided first under each number, and what
//! each sink should hold.

mod exhaustive;
mod model;
mod process;
mod seeded;
