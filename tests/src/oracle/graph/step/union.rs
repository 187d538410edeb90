//! A union gives the rows of all of its inputs, as they are.

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Union {
    pub inputs: Vec<String>,
}
