//! What a path and a query ask for.

use axum::http::Uri;

use super::super::status::ApiError;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    Health,
    Version,
    Discovery(Discovery),
    OpenApi(String),
    Resource(Target),
    Proxy(ProxyTarget),
    Unknown,
}

/// Which discovery document.
#[derive(Debug, Clone, PartialEq)]
pub enum Discovery {
    /// `/api`
    Core,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1` or `/apis/GROUP/VERSION`
    Version { group: String, version: String },
}

/// A resource: a collection, an object in it, or a part of that object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    pub group: String,
    pub version: String,
    pub namespace: Option<String>,
    pub plural: String,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

/// A path behind a Service.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyTarget {
    pub namespace: String,
    pub service: String,
    /// Number or name; empty for the Service's only port.
    pub port: String,
    /// What comes after `/proxy`, percent-encoded as it came.
    pub rest: String,
}

pub fn parse(path: &str) -> Place {
    let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
    match steps.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => Place::Health,
        ["version"] => Place::Version,
        ["openapi", "v2"] => Place::OpenApi("v2".into()),
        ["openapi", "v3", rest @ ..] => Place::OpenApi(format!("v3/{}", rest.join("/"))),
        ["api"] => Place::Discovery(Discovery::Core),
        ["apis"] => Place::Discovery(Discovery::Groups),
        ["apis", group] => Place::Discovery(Discovery::Group(decode(group))),
        ["api", "v1"] => Place::Discovery(Discovery::Version { group: String::new(), version: "v1".into() }),
        ["apis", group, version] => {
            Place::Discovery(Discovery::Version { group: decode(group), version: decode(version) })
        }
        ["api", version, "namespaces", namespace, "services", service, "proxy", ..] if *version == "v1" => {
            proxy(path, namespace, service)
        }
        ["api", version, rest @ ..] => resource("", version, rest),
        ["apis", group, version, rest @ ..] => resource(&decode(group), version, rest),
        _ => Place::Unknown,
    }
}

fn resource(group: &str, version: &str, steps: &[&str]) -> Place {
    let target = |namespace: Option<&str>, plural: &str, rest: &[&str]| {
        let mut rest = rest.iter().map(|step| decode(step));
        let target = Target {
            group: group.to_owned(),
            version: decode(version),
            namespace: namespace.map(decode),
            plural: decode(plural),
            name: rest.next(),
            subresource: rest.next(),
        };
        match rest.next() {
            None => Place::Resource(target),
            Some(_) => Place::Unknown,
        }
    };
    match steps {
        // A namespace's own parts; everything else under a namespace is a collection in it.
        ["namespaces", name, part @ ("status" | "finalize")] => target(None, "namespaces", &[name, part]),
        ["namespaces", namespace, plural, rest @ ..] => target(Some(namespace), plural, rest),
        [plural, rest @ ..] => target(None, plural, rest),
        [] => Place::Unknown,
    }
}

fn proxy(path: &str, namespace: &str, service: &str) -> Place {
    let service = decode(service);
    let parts: Vec<&str> = service.split(':').collect();
    let (name, port) = match parts.as_slice() {
        [name] => (*name, ""),
        [name, port] => (*name, *port),
        ["http" | "https" | "", name, port] => (*name, *port),
        _ => return Place::Unknown,
    };
    // The seventh slash ends `/api/v1/namespaces/NS/services/NAME/proxy`.
    let rest = path.splitn(9, '/').nth(8).unwrap_or_default();
    Place::Proxy(ProxyTarget {
        namespace: decode(namespace),
        service: name.to_owned(),
        port: port.to_owned(),
        rest: format!("/{rest}"),
    })
}

/// Percent-decodes one step of a path. What is no valid escape stays as it is.
fn decode(step: &str) -> String {
    let mut bytes = Vec::with_capacity(step.len());
    let mut rest = step.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The parameters after the question mark.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn of(uri: &Uri) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(uri)
            .map(|axum::extract::Query(pairs)| Self(pairs))
            .map_err(|error| ApiError::bad_request(format!("the query could not be read: {error}")))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// True for the name alone and for every word but `0` and `false`.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|word| word != "0" && !word.eq_ignore_ascii_case("false"))
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        match self.get(name) {
            None | Some("") => Ok(None),
            Some(text) => {
                // A negative number is none.
                let number: Result<i64, _> = text.parse();
                number
                    .map(|number| u64::try_from(number).ok())
                    .map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
            }
        }
    }

    /// Whether nothing is to be kept.
    pub fn dry_run(&self) -> bool {
        self.get("dryRun") == Some("All")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource_at(path: &str) -> Target {
        match parse(path) {
            Place::Resource(target) => target,
            other => panic!("{path} leads to {other:?}"),
        }
    }

    #[test]
    fn paths_lead_to_resources() {
        let target = resource_at("/apis/apps/v1/namespaces/test/deployments/a/status");
        assert_eq!((target.group.as_str(), target.plural.as_str()), ("apps", "deployments"));
        assert_eq!(target.namespace.as_deref(), Some("test"));
        assert_eq!((target.name.as_deref(), target.subresource.as_deref()), (Some("a"), Some("status")));
        let target = resource_at("/api/v1/namespaces/test");
        assert_eq!((target.plural.as_str(), target.name.as_deref()), ("namespaces", Some("test")));
        let target = resource_at("/api/v1/namespaces/test/pods");
        assert_eq!((target.plural.as_str(), target.name), ("pods", None));
        assert_eq!(parse("/api/v1/namespaces/a/pods/b/log/x"), Place::Unknown);
        assert_eq!(parse("/"), Place::Unknown);
    }

    #[test]
    fn services_are_reached_in_each_spelling() {
        for service in ["prometheus:9090", "http:prometheus:9090", "http%3Aprometheus%3A9090"] {
            let path = format!("/api/v1/namespaces/istio-system/services/{service}/proxy/api/v1/query%20x");
            let Place::Proxy(target) = parse(&path) else { panic!("{path}") };
            assert_eq!((target.service.as_str(), target.port.as_str()), ("prometheus", "9090"));
            assert_eq!(target.rest, "/api/v1/query%20x");
        }
    }

    #[test]
    fn escapes_are_decoded_and_nonsense_is_kept() {
        assert_eq!(decode("a%3Ab%zz%4"), "a:b%zz%4");
    }
}
