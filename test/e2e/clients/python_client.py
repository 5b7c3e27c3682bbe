"""What a user of Debian's python3-kubernetes does: typed and dynamic clients, watches, custom resources. Prints `ok NAME` for each part."""
import sys

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException

config.load_kube_config()
core = client.CoreV1Api()


def part(function):
    function()
    print("ok", function.__name__)


@part
def typed():
    made = core.create_namespaced_config_map("default", {"metadata": {"name": "py"}, "data": {"a": "b"}})
    assert made.metadata.creation_timestamp.year > 2000
    core.patch_namespaced_config_map("py", "default", {"data": {"c": "d"}})
    assert core.read_namespaced_config_map("py", "default").data == {"a": "b", "c": "d"}
    try:
        core.create_namespaced_config_map("default", {"metadata": {"name": "py"}})
        assert False
    except ApiException as error:
        assert (error.status, error.reason) == (409, "Conflict"), error
    core.delete_namespaced_config_map("py", "default")


@part
def chunks():
    for number in range(5):
        core.create_namespaced_secret("default", {"metadata": {"name": f"py{number}", "labels": {"set": "py"}}})
    first = core.list_namespaced_secret("default", label_selector="set=py", limit=3)
    rest = core.list_namespaced_secret("default", label_selector="set=py", limit=3, _continue=first.metadata._continue)
    assert [secret.metadata.name for secret in first.items + rest.items] == [f"py{number}" for number in range(5)]
    core.delete_collection_namespaced_secret("default", label_selector="set=py")


@part
def watching():
    core.create_namespaced_config_map("default", {"metadata": {"name": "seen"}})
    watcher = watch.Watch()
    told = []
    for event in watcher.stream(core.list_namespaced_config_map, "default", field_selector="metadata.name=seen", timeout_seconds=60):
        told.append(event["type"])
        if len(told) == 1:
            core.patch_namespaced_config_map("seen", "default", {"data": {"a": "b"}})
        elif len(told) == 2:
            core.delete_namespaced_config_map("seen", "default")
        else:
            watcher.stop()
    assert told == ["ADDED", "MODIFIED", "DELETED"], told


@part
def deployments():
    apps = client.AppsV1Api()
    labels = {"app": "py"}
    container = client.V1Container(name="c", image="navarch.local/web:v1")
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container]))
    spec = client.V1DeploymentSpec(replicas=2, selector=client.V1LabelSelector(match_labels=labels), template=template)
    apps.create_namespaced_deployment("default", client.V1Deployment(metadata=client.V1ObjectMeta(name="py"), spec=spec))
    watcher = watch.Watch()
    for event in watcher.stream(apps.list_namespaced_deployment, "default", field_selector="metadata.name=py", timeout_seconds=60):
        if event["object"].status.available_replicas == 2:
            watcher.stop()
    apps.patch_namespaced_deployment_scale("py", "default", {"spec": {"replicas": 0}})
    apps.delete_namespaced_deployment("py", "default", propagation_policy="Foreground")


@part
def custom_resources():
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1, "default": 2}}},
            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
        },
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    names = {"plural": "snakes", "singular": "snake", "kind": "Snake"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "snakes.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    anything = dynamic.DynamicClient(client.ApiClient())
    definitions = anything.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    definitions.create(body=definition)
    for event in definitions.watch(field_selector="metadata.name=snakes.example.com", timeout=60):
        conditions = (event["object"].status or {}).get("conditions") or []
        if any(condition.type == "Established" and condition.status == "True" for condition in conditions):
            break
    anything.resources.invalidate_cache()
    snakes = anything.resources.get(api_version="example.com/v1", kind="Snake")
    made = snakes.create(namespace="default", body={"apiVersion": "example.com/v1", "kind": "Snake", "metadata": {"name": "adder"}, "spec": {"lost": 1}})
    assert made.to_dict()["spec"] == {"size": 2}, made.spec
    snakes.status.patch(namespace="default", name="adder", body={"status": {"ready": True}}, content_type="application/merge-patch+json")
    assert snakes.get(namespace="default", name="adder").status.ready is True
    try:
        snakes.patch(namespace="default", name="adder", body={"spec": {"size": 0}}, content_type="application/merge-patch+json")
        assert False
    except dynamic.exceptions.UnprocessibleEntityError as error:
        assert "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1" in str(error.body), error.body
    objects = client.CustomObjectsApi()
    assert len(objects.list_namespaced_custom_object("example.com", "v1", "default", "snakes")["items"]) == 1
    snakes.delete(namespace="default", name="adder")
    definitions.delete(name="snakes.example.com")


sys.exit(0)
