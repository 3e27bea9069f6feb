//! What the telemetry comes from: the OpenTelemetry resource, as far as it can be found out.

use super::Service;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::Resource;

/// What can be asked: the process's own surroundings, or a test's.
pub(super) struct Surroundings<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    pub(super) file: &'a dyn Fn(&str) -> Option<String>,
}

/// The resource. What the application or `OTEL_RESOURCE_ATTRIBUTES` says goes before what is found.
pub(super) fn resource(service: &Service, around: &Surroundings<'_>) -> Resource {
    let mut attributes = detected(around);
    let mut set = |key: String, value: Value| {
        attributes.retain(|found| found.key.as_str() != key);
        attributes.push(KeyValue::new(key, value));
    };
    for (key, value) in &service.attributes {
        set(key.clone(), value.clone().into());
    }
    let name = service.name.clone().unwrap_or_else(|| match executable() {
        Some(executable) => format!("unknown_service:{executable}"),
        None => "unknown_service".to_owned(),
    });
    set("service.name".to_owned(), name.into());
    if let Some(version) = &service.version {
        set("service.version".to_owned(), version.clone().into());
    }
    Resource::builder_empty().with_attributes(attributes).build()
}

fn detected(around: &Surroundings<'_>) -> Vec<KeyValue> {
    let mut found = vec![
        KeyValue::new("telemetry.sdk.language", "rust"),
        KeyValue::new("telemetry.sdk.name", "obs-runtime"),
        KeyValue::new("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance_id()),
        KeyValue::new("process.pid", i64::from(std::process::id())),
        KeyValue::new("os.type", os()),
        KeyValue::new("host.arch", std::env::consts::ARCH),
    ];
    let mut add = |key: &'static str, value: Option<String>| {
        let value = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        found.extend(value.map(|value| KeyValue::new(key, value)));
    };
    let variable = around.variable;
    add("process.executable.name", executable());
    let host = (around.file)("/proc/sys/kernel/hostname").or_else(|| (around.file)("/etc/hostname"));
    add("host.name", host.or_else(|| variable("HOSTNAME")));
    add("host.id", (around.file)("/etc/machine-id"));
    add("container.id", container_id(around));
    // Kubernetes tells a pod nothing of itself but its name, as its host's. The rest is there if its
    // specification puts it into the environment, for which these names are usual.
    if variable("KUBERNETES_SERVICE_HOST").is_some() {
        let any = |names: [&str; 2]| names.into_iter().find_map(variable);
        add("k8s.pod.name", any(["K8S_POD_NAME", "POD_NAME"]).or_else(|| variable("HOSTNAME")));
        add("k8s.pod.uid", any(["K8S_POD_UID", "POD_UID"]));
        let account = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
        let namespace = any(["K8S_NAMESPACE_NAME", "POD_NAMESPACE"]);
        add("k8s.namespace.name", namespace.or_else(|| (around.file)(account)));
        add("k8s.node.name", any(["K8S_NODE_NAME", "NODE_NAME"]));
        add("k8s.container.name", any(["K8S_CONTAINER_NAME", "CONTAINER_NAME"]));
        add("k8s.deployment.name", any(["K8S_DEPLOYMENT_NAME", "DEPLOYMENT_NAME"]));
        add("k8s.cluster.name", any(["K8S_CLUSTER_NAME", "CLUSTER_NAME"]));
    }
    found
}

/// By the values of the semantic conventions.
fn os() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

fn executable() -> Option<String> {
    Some(std::env::current_exe().ok()?.file_name()?.to_string_lossy().into_owned())
}

/// A random UUID, for each start of a process its own.
fn instance_id() -> String {
    // Version 4, variant 1.
    let bits = fastrand::u128(..) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The 64 digits of the container that the process runs in: in the name of its control group, or, where
/// those are hidden from it, in the path of a file that the container's engine has mounted.
fn container_id(around: &Surroundings<'_>) -> Option<String> {
    let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let not_hex = |c: char| !c.is_ascii_hexdigit();
    let groups = (around.file)("/proc/self/cgroup").unwrap_or_default();
    if let Some(id) = groups.lines().find_map(|line| line.split(not_hex).find(is_id)) {
        return Some(id.to_owned());
    }
    // What a pod's containers have mounted is of the pod's own container, which they share.
    if (around.variable)("KUBERNETES_SERVICE_HOST").is_some() {
        return None;
    }
    let mounts = (around.file)("/proc/self/mountinfo").unwrap_or_default();
    // An image's layers have names of 64 digits too, though not in these folders.
    let behind = mounts.split("containers/").skip(1);
    behind.filter_map(|path| path.split('/').next()).find(is_id).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";

    fn found(variables: &[(&str, &str)], files: &[(&str, &str)], service: &Service) -> Resource {
        let look_up = |in_: &[(&str, &str)], name: &str| {
            in_.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let (variable, file) = (|name: &str| look_up(variables, name), |name: &str| look_up(files, name));
        resource(service, &Surroundings { variable: &variable, file: &file })
    }

    fn get(resource: &Resource, key: &'static str) -> Option<String> {
        resource.get(&opentelemetry::Key::from_static_str(key)).map(|value| value.to_string())
    }

    #[test]
    fn what_is_said_goes_before_what_is_found() {
        let attributes = vec![("host.name".to_owned(), "mine".to_owned())];
        let service = Service { name: Some("shop".to_owned()), version: Some("1".to_owned()), attributes };
        let resource = found(&[], &[("/proc/sys/kernel/hostname", "theirs\n")], &service);
        for (key, value) in [("host.name", "mine"), ("service.name", "shop"), ("service.version", "1")] {
            assert_eq!(get(&resource, key).as_deref(), Some(value));
        }
        let unnamed = found(&[], &[("/proc/sys/kernel/hostname", "theirs\n")], &Service::default());
        assert_eq!(get(&unnamed, "host.name").as_deref(), Some("theirs"));
        assert!(get(&unnamed, "service.name").expect("always").starts_with("unknown_service:obs_runtime"));
    }

    #[test]
    fn a_container_is_known_by_its_group_or_its_mounts() {
        let docker = format!("12:pids:/docker/{ID}\n");
        let systemd = format!("0::/system.slice/cri-containerd-{ID}.scope\n");
        let mounts =
            format!("1 2 0:1 / / rw\n3 4 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw\n");
        for files in [
            [("/proc/self/cgroup", docker.as_str())],
            [("/proc/self/cgroup", systemd.as_str())],
            [("/proc/self/mountinfo", mounts.as_str())],
        ] {
            assert_eq!(get(&found(&[], &files, &Service::default()), "container.id").as_deref(), Some(ID));
        }
        let none = [("/proc/self/cgroup", "0::/user.slice\n")];
        assert_eq!(get(&found(&[], &none, &Service::default()), "container.id"), None);
    }

    #[test]
    fn neither_a_layer_nor_the_pods_own_container_is_the_container() {
        let storage = "/var/lib/containers/storage";
        let layer = "a".repeat(64);
        let root = format!("1 2 0:1 / / rw - overlay overlay rw,upperdir={storage}/overlay/{layer}/diff\n");
        let host = format!("3 4 8:1 {storage}/overlay-containers/{ID}/userdata/hostname /etc/hostname rw\n");
        let both = root.clone() + &host;
        let id = |variables: &[(&str, &str)], mounts: &str| {
            let files = [("/proc/self/cgroup", "0::/\n"), ("/proc/self/mountinfo", mounts)];
            get(&found(variables, &files, &Service::default()), "container.id")
        };
        assert_eq!(id(&[], &both).as_deref(), Some(ID));
        assert_eq!(id(&[], &root), None);
        assert_eq!(id(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], &both), None);
    }

    #[test]
    fn a_pod_is_known_by_its_environment() {
        let variables = [
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("HOSTNAME", "shop-7d9f-x2x"),
            ("POD_NAMESPACE", "prod"),
            ("NODE_NAME", "node-1"),
        ];
        let resource = found(&variables, &[], &Service::default());
        for (key, value) in
            [("k8s.pod.name", "shop-7d9f-x2x"), ("k8s.namespace.name", "prod"), ("k8s.node.name", "node-1")]
        {
            assert_eq!(get(&resource, key).as_deref(), Some(value), "{key}");
        }
        assert_eq!(get(&found(&variables[1..], &[], &Service::default()), "k8s.pod.name"), None);
    }

    #[test]
    fn instances_are_told_apart_by_uuids() {
        let id = instance_id();
        assert_ne!(id, instance_id());
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    }
}
