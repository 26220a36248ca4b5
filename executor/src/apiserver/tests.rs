//! The simulated API server as a real `kube::Client` sees it.

use bellwether_model::time::Timestamp;
use futures::TryStreamExt;
use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions,
    WatchEvent, WatchParams,
};
use serde_json::{Value, json};

use super::*;

fn server() -> ApiServer {
    ApiServer::new(Timestamp::from_secs(1_767_225_600))
}

fn isvcs(server: &ApiServer) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("serving.kserve.io", "v1beta1", "InferenceService");
    Api::namespaced_with(server.client(), "ml", &ApiResource::from_gvk_with_plural(&gvk, "inferenceservices"))
}

fn config(spec: Value) -> Value {
    json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": "iris", "namespace": "ml", "labels": {"team": "vision"}}, "spec": {"predictor": spec}})
}

fn refusal(error: kube::Error) -> kube::core::Status {
    match error {
        kube::Error::Api(status) => *status,
        other => panic!("not a Status: {other:?}"),
    }
}

async fn seeded() -> (ApiServer, Api<DynamicObject>) {
    let server = server();
    let api = isvcs(&server);
    let object = config(json!({"minReplicas": 1, "maxReplicas": 4}));
    api.patch("iris", &PatchParams::apply("bellwether/scale"), &Patch::Apply(&object)).await.unwrap();
    (server, api)
}

#[tokio::test]
async fn objects_are_made_read_changed_and_deleted() {
    let server = server();
    let api = isvcs(&server);
    assert_eq!(refusal(api.get("iris").await.unwrap_err()).reason, "NotFound");
    let new: DynamicObject = serde_json::from_value(config(json!({"minReplicas": 1}))).unwrap();
    let made = api.create(&PostParams::default(), &new).await.unwrap();
    assert_eq!((made.metadata.generation, made.metadata.resource_version.as_deref()), (Some(1), Some("1")));
    assert_eq!(refusal(api.create(&PostParams::default(), &new).await.unwrap_err()).reason, "AlreadyExists");

    let mut edited = made.clone();
    edited.data["spec"]["predictor"]["minReplicas"] = json!(2);
    let edited = api.replace("iris", &PostParams::default(), &edited).await.unwrap();
    assert_eq!((edited.metadata.generation, edited.metadata.resource_version.as_deref()), (Some(2), Some("2")));
    let stale = refusal(api.replace("iris", &PostParams::default(), &made).await.unwrap_err());
    assert_eq!((stale.code, stale.reason.as_str()), (409, "Conflict"));

    let labelled =
        api.patch("iris", &PatchParams::default(), &Patch::Merge(json!({"metadata": {"labels": {"tier": "gold"}}}))).await.unwrap();
    assert_eq!(labelled.metadata.generation, Some(2), "labels are no specification");
    assert_eq!(labelled.metadata.labels.unwrap().len(), 2);

    let listed = api.list(&ListParams::default().labels("tier=gold")).await.unwrap();
    assert_eq!((listed.items.len(), listed.metadata.resource_version.as_deref()), (1, Some("3")));
    assert_eq!(api.list(&ListParams::default().labels("tier=silver")).await.unwrap().items.len(), 0);

    let other =
        DeleteParams { preconditions: Some(Preconditions { uid: Some("another".into()), ..Default::default() }), ..Default::default() };
    assert_eq!(refusal(api.delete("iris", &other).await.unwrap_err()).code, 409);
    api.delete("iris", &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt("iris").await.unwrap().is_none());
}

#[tokio::test]
async fn applying_over_another_owner_is_a_conflict_with_causes() {
    let (server, api) = seeded().await;
    let other = config(json!({"maxReplicas": 9}));
    let status = refusal(api.patch("iris", &PatchParams::apply("argocd"), &Patch::Apply(&other)).await.unwrap_err());
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"bellwether/scale\": .spec.predictor.maxReplicas");
    let cause = status.details.unwrap().causes.remove(0);
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".spec.predictor.maxReplicas"));
    assert_eq!(cause.message, "conflict with \"bellwether/scale\"");

    let forced = api.patch("iris", &PatchParams::apply("argocd").force(), &Patch::Apply(&other)).await.unwrap();
    assert_eq!(forced.data["spec"]["predictor"], json!({"minReplicas": 1, "maxReplicas": 9}));
    assert_eq!(forced.metadata.managed_fields.unwrap().len(), 2);
    // Both own the label; what only one owns goes when that one omits it.
    let mut bare = config(json!({"minReplicas": 1}));
    bare["metadata"].as_object_mut().unwrap().remove("labels");
    let rest = api.patch("iris", &PatchParams::apply("argocd").force(), &Patch::Apply(&bare)).await.unwrap();
    assert_eq!(rest.data["spec"]["predictor"], json!({"minReplicas": 1}));
    assert_eq!(rest.metadata.labels.unwrap()["team"], "vision");
    assert_eq!(server.log().iter().filter(|m| m.verb == Verb::Apply && m.changed).count(), 3);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let (server, api) = seeded().await;
    let object = config(json!({"minReplicas": 2, "maxReplicas": 6}));
    let would = api.patch("iris", &PatchParams::apply("bellwether/scale").dry_run(), &Patch::Apply(&object)).await.unwrap();
    assert_eq!(would.data["spec"]["predictor"]["maxReplicas"], 6);
    assert_eq!(would.metadata.generation, Some(2));
    let live = api.get("iris").await.unwrap();
    assert_eq!(live.data["spec"]["predictor"]["maxReplicas"], 4);
    let last = server.log().pop().unwrap();
    assert!(last.dry_run && !last.changed);
}

#[tokio::test]
async fn preconditions_invalid_values_and_admission_refuse() {
    let (server, api) = seeded().await;
    let apply = PatchParams::apply("bellwether/scale");
    for (change, code, reason) in [
        (json!({"metadata": {"uid": "another"}}), 409, "Conflict"),
        (json!({"metadata": {"resourceVersion": "999"}}), 409, "Conflict"),
        (json!({"spec": {"predictor": {"minReplicas": -1}}}), 422, "Invalid"),
        (json!({"spec": {"predictor": {"minReplicas": 5}}}), 422, "Invalid"),
    ] {
        let mut object = config(json!({"minReplicas": 1, "maxReplicas": 4}));
        managed::merge_patch(&mut object, &change);
        let status = refusal(api.patch("iris", &apply, &Patch::Apply(&object)).await.unwrap_err());
        assert_eq!((status.code, status.reason.as_str()), (code, reason), "{change}");
    }
    server.inject(|f| {
        f.admission = Some(Box::new(|o| (o["spec"]["predictor"]["maxReplicas"].as_i64() > Some(8)).then(|| "no more than 8".into())))
    });
    let big = config(json!({"minReplicas": 1, "maxReplicas": 9}));
    let status = refusal(api.patch("iris", &apply.clone().dry_run(), &Patch::Apply(&big)).await.unwrap_err());
    assert_eq!(status.code, 403);
    assert!(status.message.ends_with("denied the request: no more than 8"));
}

#[tokio::test]
async fn injected_failures_refuse_or_lose_the_reply() {
    let (server, api) = seeded().await;
    let patch = |max: u32| config(json!({"minReplicas": 1, "maxReplicas": max}));
    let apply = PatchParams::apply("bellwether/scale");
    server.inject(|f| f.refuse = Some((1, 429)));
    assert_eq!(refusal(api.patch("iris", &apply, &Patch::Apply(&patch(5))).await.unwrap_err()).code, 429);
    server.inject(|f| f.lose_replies = 1);
    let mut annotated = patch(5);
    annotated["metadata"]["annotations"] = json!({"bellwether.io/action-id": "a-1"});
    let error = api.patch("iris", &apply, &Patch::Apply(&annotated)).await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error:?}");
    assert_eq!(api.get("iris").await.unwrap().data["spec"]["predictor"]["maxReplicas"], 5);
    let log = server.log();
    assert_eq!(log.iter().filter(|m| m.changed && m.action_id() == Some("a-1")).count(), 1);
    assert_eq!(log.iter().filter(|m| m.code == 429).count(), 1);
}

#[tokio::test]
async fn scale_reads_and_writes_replicas_alone() {
    let server = server();
    server
        .apply("helm", &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "ml"}, "spec": {"replicas": 2, "paused": true}}))
        .unwrap();
    let api: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(server.client(), "ml");
    assert_eq!(api.get_scale("d").await.unwrap().spec.unwrap().replicas, Some(2));
    let scaled = api.patch_scale("d", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 5}}))).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(5));
    let object = server.get("Deployment", Some("ml"), "d").unwrap();
    assert_eq!(object["spec"], json!({"replicas": 5, "paused": true}));
    assert_eq!(object["metadata"]["generation"], 2);
    assert_eq!(
        refusal(api.patch_scale("d", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": -1}}))).await.unwrap_err()).code,
        422
    );
}

#[tokio::test]
async fn status_is_written_apart_from_the_rest() {
    let (server, api) = seeded().await;
    server.set_status("kserve", "InferenceService", Some("ml"), "iris", json!({"observedGeneration": 1})).unwrap();
    let live = api.get("iris").await.unwrap();
    assert_eq!((live.data["status"]["observedGeneration"].as_i64(), live.metadata.generation), (Some(1), Some(1)));
    let ignored = Patch::Merge(json!({"status": {"observedGeneration": 7}}));
    assert_eq!(api.patch("iris", &PatchParams::default(), &ignored).await.unwrap().data["status"]["observedGeneration"], 1);
    assert_eq!(api.patch_status("iris", &PatchParams::default(), &ignored).await.unwrap().data["status"]["observedGeneration"], 7);
}

#[tokio::test]
async fn a_watch_replays_from_a_version_and_follows() {
    let (server, api) = seeded().await;
    let mut events = Box::pin(api.watch(&WatchParams::default(), "1").await.unwrap());
    let object = config(json!({"minReplicas": 2, "maxReplicas": 4}));
    api.patch("iris", &PatchParams::apply("bellwether/scale"), &Patch::Apply(&object)).await.unwrap();
    let Some(WatchEvent::Modified(seen)) = events.try_next().await.unwrap() else { panic!("no modification") };
    assert_eq!(seen.data["spec"]["predictor"]["minReplicas"], 2);
    server.delete("InferenceService", Some("ml"), "iris");
    assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Deleted(_))));
    let mut again = Box::pin(api.watch(&WatchParams::default().timeout(1), "0").await.unwrap());
    assert!(matches!(again.try_next().await.unwrap(), Some(WatchEvent::Bookmark(_))), "nothing is there any more");
    assert!(again.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn clients_discover_what_is_served_and_yaml_is_read() {
    let server = server();
    let client = server.client();
    assert_eq!(client.apiserver_version().await.unwrap().minor, "33");
    let groups = client.list_api_groups().await.unwrap();
    assert_eq!(
        groups.groups.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(),
        ["apps", "authorization.k8s.io", "karpenter.sh", "serving.kserve.io"]
    );
    assert_eq!(client.list_api_group_resources("karpenter.sh/v1").await.unwrap().resources.len(), 3);

    let yaml = "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: gpu}\nspec: {limits: {nvidia.com/gpu: \"8\"}}\n";
    let request = http::Request::patch("/apis/karpenter.sh/v1/nodepools/gpu?fieldManager=kubectl")
        .header("content-type", "application/apply-patch+yaml")
        .body(yaml.as_bytes().to_vec())
        .unwrap();
    let made: DynamicObject = client.request(request).await.unwrap();
    assert_eq!(made.data["spec"]["limits"]["nvidia.com/gpu"], "8");
    let ObjectMeta { managed_fields, .. } = made.metadata;
    assert_eq!(managed_fields.unwrap()[0].manager.as_deref(), Some("kubectl"));
}

#[tokio::test]
async fn whoever_asks_may_do_it_and_is_told_so() {
    let server = server();
    let client = server.client();
    let post = async |body: Value| {
        let request =
            http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").header("content-type", "application/json");
        client.request::<Value>(request.body(body.to_string().into_bytes()).unwrap()).await
    };
    let asked = json!({"verb": "patch", "group": "karpenter.sh", "resource": "nodepools"});
    let review = |spec: Value| json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec});
    let answer = post(review(json!({"resourceAttributes": asked}))).await.unwrap();
    assert_eq!((&answer["status"]["allowed"], &answer["spec"]["resourceAttributes"]), (&json!(true), &asked));
    let both = json!({"resourceAttributes": asked, "nonResourceAttributes": {"path": "/", "verb": "get"}});
    for spec in [json!({}), both] {
        assert_eq!(refusal(post(review(spec)).await.unwrap_err()).code, 422);
    }
    assert_eq!(refusal(post(json!({"kind": "Pod", "apiVersion": "v1"})).await.unwrap_err()).code, 400);
    let read = http::Request::get("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").body(Vec::new()).unwrap();
    assert_eq!(refusal(client.request::<Value>(read).await.unwrap_err()).code, 405);
    let groups = http::Request::get("/apis").body(Vec::new()).unwrap();
    assert!(client.request::<Value>(groups).await.unwrap().to_string().contains("authorization.k8s.io/v1"));
    assert!(server.log().is_empty(), "a question changes nothing");
}
