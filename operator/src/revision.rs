//! Revisions: what a pipeline's pods are made from, frozen when the document was accepted.
//!
//! A revision holds the document, the image and the pod template as the operator built it at that time. As long as the
//! document asks for the same, the stored template is used unchanged, so that an operator upgrade rolls nothing. The
//! revision is stored as a ControllerRevision and written before anything is rolled, so a crash in between does not
//! lose the intent.

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::inputs::Inputs;
use crate::labels::Owner;
use crate::marks::Marks;
use crate::pod_template;
use crate::settings::Users;

/// An accepted document with everything that its pods need.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// The name: `<pipeline>-<hash of the inputs>`.
    pub name: String,
    /// The number, which increases: the revision that was accepted last has the greatest.
    pub number: i64,
    /// The generation of the spec that the revision came from.
    pub generation: i64,
    pub inputs: Inputs,
    pub template: PodTemplateSpec,
    pub marks: Marks,
}

/// The `data` of the ControllerRevision.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Data {
    generation: i64,
    inputs: Inputs,
    template: PodTemplateSpec,
}

impl Revision {
    /// The revision for these inputs: an existing one, which becomes the newest, or a new one.
    #[must_use]
    pub fn of(owner: &Owner, inputs: Inputs, users: Users, generation: i64, there: &[Self]) -> Self {
        let name = format!("{}-{}", owner.name, inputs.hash());
        let newest = |others: &mut dyn Iterator<Item = &Self>| others.map(|r| r.number).max().unwrap_or(0);
        if let Some(same) = there.iter().find(|r| r.name == name && r.inputs == inputs) {
            let others = newest(&mut there.iter().filter(|r| r.name != name));
            return Self { number: if same.number > others { same.number } else { others + 1 }, ..same.clone() };
        }
        let number = newest(&mut there.iter()) + 1;
        let template = pod_template::template(owner, &inputs, users, &name, &name);
        Self { name, number, generation, inputs, template, marks: Marks::default() }
    }

    #[must_use]
    pub fn to_object(&self, owner: &Owner) -> ControllerRevision {
        let data = Data { generation: self.generation, inputs: self.inputs.clone(), template: self.template.clone() };
        ControllerRevision {
            metadata: ObjectMeta { annotations: self.marks.to_annotations(), ..owner.meta(&self.name) },
            revision: self.number,
            data: serde_json::to_value(data).ok().map(RawExtension),
        }
    }

    /// Reads a revision from its object.
    ///
    /// # Errors
    /// Why it can't be read. It was then written by another version.
    pub fn from_object(object: &ControllerRevision) -> Result<Self, String> {
        let name = object.metadata.name.clone().unwrap_or_default();
        let value = object.data.as_ref().map_or(Value::Null, |d| d.0.clone());
        let data: Data = serde_json::from_value(value).map_err(|e| e.to_string())?;
        let marks = Marks::from_annotations(object.metadata.annotations.as_ref());
        Ok(Self {
            name,
            number: object.revision,
            generation: data.generation,
            inputs: data.inputs,
            template: data.template,
            marks,
        })
    }
}
