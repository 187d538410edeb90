//! The examples of the repository and of its README in the shape before the final one (`old/`) and rewritten (`new/`).

use weir_crds::former::{Rewritten, Style, rewrite};

pub(super) fn file(path: &str) -> String {
    let path = format!("{}/tests/documents/former/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn every_old_example_keeps_its_comments_and_its_style() {
    for name in ["medallion", "nothing-lost", "readme", "rides", "two-topics"] {
        let right = Rewritten { text: file(&format!("new/{name}.yaml")), style: Style::Kept, left: Vec::new() };
        assert_eq!(rewrite(&file(&format!("old/{name}.yaml"))), Ok(Some(right)), "{name}");
        assert_eq!(rewrite(&file(&format!("new/{name}.yaml"))), Ok(None), "{name}");
    }
}

#[test]
fn a_document_with_nothing_old_is_left_alone() {
    assert_eq!(rewrite(&file("old/rides-local.yaml")), Ok(None));
}
