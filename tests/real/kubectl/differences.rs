//! Where kubectl prints something else on the embedded cluster than on a real one, and why that may be. A difference
//! that is gone must be taken off this list.

/// Lines of one command that only one of the two prints.
pub struct Difference {
    /// The scenario that it comes up in.
    pub scenario: &'static str,
    /// Pattern of the command.
    pub command: &'static str,
    /// Patterns of whole lines that only the real cluster prints.
    pub cluster: &'static [&'static str],
    /// Patterns of whole lines that only the embedded cluster prints.
    pub sandbox: &'static [&'static str],
    /// Why it is accepted.
    pub why: &'static str,
}

/// The code, the reason and the field are the same.
const WORDS: &str = "the words of another parser, with another language's types in them";
const ENUMERATIONS: &str = "the published types do not say which words a text may be, nor what each means";
const NO_KUBELET: &str = "nothing runs in a simulated pod, and on the real cluster the node cannot be reached";

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        scenario: "changes",
        command: r#"patch canary .* --type=json -p \{"op":"remove"\}"#,
        cluster: &["! Error from server .BadRequest.: error decoding patch: json: cannot unmarshal object into Go .*"],
        sandbox: &["! Error from server .BadRequest.: error decoding patch: the patch is no list of operations"],
        why: WORDS,
    },
    Difference {
        scenario: "patches",
        command: r#"patch deploy/app --type=strategic -p \{"spec":\{"replicas":"three"\}\}"#,
        cluster: &[
            r#"! The request is invalid: patch: Invalid value: "map.spec:map.replicas:three..": unrecognized type: int32"#,
        ],
        sandbox: &[
            r#"! The request is invalid: patch: Invalid value: "map.spec:map.replicas:three..": invalid type: .*"#,
        ],
        why: WORDS,
    },
    Difference {
        scenario: "patches",
        command: "apply -f FILE",
        cluster: &[
            r#"! The request is invalid: patch: Invalid value: "map.*replicas:two.*": unrecognized type: int32"#,
        ],
        sandbox: &[r#"! The request is invalid: patch: Invalid value: "map.*replicas:two.*": invalid type: .*"#],
        why: WORDS,
    },
    Difference {
        scenario: "patches",
        command: "apply -f FILE",
        cluster: &[
            r#"! The request .* spec:map.template:map.spec:map.{6}: strict decoding error: unknown field ".*imagge""#,
        ],
        sandbox: &[r#"! The request .* containers:.map.image.*: strict decoding error: unknown field ".*imagge""#],
        why: "the lists that Kubernetes has merged already are gone from the patch that it shows",
    },
    Difference {
        scenario: "patches",
        command: "create --dry-run=server -f FILE",
        cluster: &["! .* cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field .*"],
        sandbox: &["! .* cannot be handled as a Deployment: invalid type: string .*"],
        why: WORDS,
    },
    Difference {
        scenario: "rollout",
        command: "describe deploy/app",
        cluster: &[
            "Events:",
            "  Type  Reason  Age  From  Message",
            "  ----  ------  ----  ----  -------",
            "  Normal  ScalingReplicaSet  AGE  deployment-controller  Scaled up replica set .*",
        ],
        sandbox: &["Events:  <none>"],
        why: "the embedded cluster's own controllers write no Events",
    },
    Difference {
        scenario: "rollout",
        command: "autoscale .*",
        cluster: &["horizontalpodautoscaler.autoscaling/app autoscaled", "exit 0"],
        sandbox: &["! Error from server .NotFound.: the server could not find the requested resource", "exit 1"],
        why: "kubectl asks for the old autoscaling/v1, and only v2 is served",
    },
    Difference {
        scenario: "explain",
        command: "explain .*",
        cluster: &[" +enum: .*"],
        sandbox: &[],
        why: ENUMERATIONS,
    },
    Difference {
        scenario: "explain",
        command: "explain deployment.spec.strategy",
        cluster: &[
            "    Possible enum values:",
            r#"     - `"(Recreate|RollingUpdate)"` .*"#,
            "    update i.e gradually scale down .*",
            "    one.",
        ],
        sandbox: &[],
        why: ENUMERATIONS,
    },
    Difference {
        scenario: "explain",
        command: "explain deploy.spec.template.spec.containers",
        cluster: &[
            "    Possible enum values:",
            r#"     - `"(Always|IfNotPresent|Never|FallbackToLogsOnError|File)"` .*"#,
            "    (Container will fail If|disk. Container will fail if|image. Container will fail if) .*",
            "    (container logs for the container status message|with an error and the) .*",
            "    (message to the contents of the container's|container exits.).*",
        ],
        sandbox: &[],
        why: ENUMERATIONS,
    },
    Difference {
        scenario: "explain",
        command: "explain service.spec.ports",
        cluster: &["    Possible enum values:", r#"     - `"(SCTP|TCP|UDP)"` is the .* protocol."#],
        sandbox: &[],
        why: ENUMERATIONS,
    },
    Difference {
        scenario: "explain",
        command: "explain node.status",
        cluster: &[
            "    Possible enum values:",
            r#"     - `"(Pending|Running|Terminated)"` .*"#,
            "    (configured.|components running.)",
        ],
        sandbox: &[],
        why: ENUMERATIONS,
    },
    Difference {
        scenario: "explain",
        command: "explain virtualservice",
        cluster: &[
            "    Configuration affecting label/content routing, sni routing, etc. See more",
            "    details at:",
            "    https://istio.io/docs/reference/config/networking/virtual-service.html",
        ],
        sandbox: &["    <no description>"],
        why: "Istio's kinds take any spec here, so there is nothing to describe",
    },
    Difference {
        scenario: "refusals",
        command: "logs deploy/app",
        cluster: &[r#"! Error from server: Get "https://[^"]*/containerLogs/.*"#],
        sandbox: &["! Error from server .InternalError.: the sandbox answers no log: its pods are simulated, .*"],
        why: NO_KUBELET,
    },
    Difference {
        scenario: "refusals",
        command: "exec deploy/app -- true",
        cluster: &[r#"! error: Internal error occurred: error sending request: Post "https://[^"]*/exec/.*"#],
        sandbox: &["! Error from server .InternalError.: the sandbox answers no exec: its pods are simulated, .*"],
        why: NO_KUBELET,
    },
    Difference {
        scenario: "served",
        command: "version",
        cluster: &[r"Server Version: v1\.\d+\.\d+"],
        sandbox: &[r"Server Version: v1\.\d+\.\d+\+sandbox"],
        why: "the embedded cluster says what it is",
    },
    Difference {
        scenario: "served",
        command: "auth whoami",
        cluster: &["Username  admin", "Groups  .*", "Extra: .*"],
        sandbox: &["Username  sandbox-operator", "Groups  .*"],
        why: "another user, who comes with a token instead of a certificate",
    },
];
