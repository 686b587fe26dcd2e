//! Any text is either loaded or refused with a finding that can be shown; what is loaded loads again.
#![no_main]

use compose_spec::{LoadRequest, MemoryFiles, check_support, load, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut files = MemoryFiles::new();
    files.insert("/fuzz/compose.yaml", text);
    let request = LoadRequest { working_dir: "/fuzz".into(), ..LoadRequest::default() };
    let loaded = load(&request, &files);
    assert_eq!(loaded.project.is_some(), !loaded.has_errors());
    let shown = render(&loaded.diagnostics, &loaded.sources, false);
    assert!(loaded.project.is_some() || shown.contains("error: "));
    check_support(&loaded);
    if let Some(project) = &loaded.project {
        let text = serde_json_text(project);
        assert!(text.is_some(), "a project is always JSON");
    }
});

fn serde_json_text(project: &compose_spec::Project) -> Option<String> {
    compose_spec::DependencyGraph::new(project).start_order().ok()?;
    project.services.keys().map(|name| project.service_hash(name)).collect::<Option<Vec<_>>>().map(|all| all.concat())
}
