//! Prints the CustomResourceDefinition of StreamPipeline, as YAML.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", weir_crds::resource::crd_yaml()?);
    Ok(())
}
