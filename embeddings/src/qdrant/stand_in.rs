//! A stand-in for a Qdrant server, for tests: it speaks the client's own protocol on a real port, keeps points in memory, refuses what a
//! server would refuse, and answers in an order of its own where scores are equal.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ::qdrant_client::qdrant::*;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::Grpc;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// A point as it is kept: its vector and what is known besides.
type Kept = (Vec<f32>, HashMap<String, Value>);

#[derive(Debug, Default)]
struct Collection {
    size: u64,
    points: BTreeMap<String, Kept>,
}

/// What the server has, and what was asked of it.
#[derive(Clone, Debug, Default)]
pub(super) struct StandIn {
    collections: Arc<Mutex<BTreeMap<String, Collection>>>,
    asked: Arc<Mutex<Vec<String>>>,
    key: Option<String>,
}

impl StandIn {
    /// Serves on a free port of this machine until the runtime ends; requests without the key, where there is one, are refused.
    pub(super) async fn serve(key: Option<&str>) -> (Self, String) {
        let own = Self { key: key.map(str::to_owned), ..Self::default() };
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let url = format!("http://{}", incoming.local_addr().unwrap());
        let service = own.clone();
        let answer = tower::service_fn(move |request: http::Request<Body>| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        tokio::spawn(Server::builder().serve_with_incoming(answer, incoming));
        (own, url)
    }

    /// The calls so far, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The vectors of a collection, by point.
    pub(super) fn points(&self, collection: &str) -> BTreeMap<String, Vec<f32>> {
        let all = self.collections.lock().unwrap();
        all[collection].points.iter().map(|(id, (vector, _))| (id.clone(), vector.clone())).collect()
    }

    async fn answer(&self, request: http::Request<Body>) -> http::Response<Body> {
        let call = request.uri().path().trim_start_matches("/qdrant.").to_owned();
        self.asked.lock().unwrap().push(call.clone());
        let given = request.headers().get("api-key").and_then(|key| key.to_str().ok());
        if given != self.key.as_deref() {
            return Status::unauthenticated("the key does not fit").into_http();
        }
        match call.as_str() {
            "Qdrant/HealthCheck" => {
                let reply = HealthCheckReply { title: "stand-in".into(), version: "1.20.0".into(), commit: None };
                unary(request, move |_: HealthCheckRequest| Ok(reply)).await
            }
            "Collections/CollectionExists" => unary(request, |r: CollectionExistsRequest| self.exists(&r)).await,
            "Collections/Get" => unary(request, |r: GetCollectionInfoRequest| self.info(&r)).await,
            "Collections/Create" => unary(request, |r: CreateCollection| self.create(r)).await,
            "Collections/Delete" => unary(request, |r: DeleteCollection| self.delete(&r)).await,
            "Points/CreateFieldIndex" => {
                unary(request, |r: CreateFieldIndexCollection| self.of(&r.collection_name, |_| PointsOperationResponse::default())).await
            }
            "Points/Upsert" => unary(request, |r: UpsertPoints| self.upsert(r)).await,
            "Points/Delete" => unary(request, |r: DeletePoints| self.remove(r)).await,
            "Points/Scroll" => unary(request, |r: ScrollPoints| self.scroll(&r)).await,
            "Points/Count" => unary(request, |r: CountPoints| self.count(&r)).await,
            "Points/Query" => unary(request, |r: QueryPoints| self.query(r)).await,
            other => Status::unimplemented(format!("{other} is not expected")).into_http(),
        }
    }

    fn of<T>(&self, name: &str, answer: impl FnOnce(&mut Collection) -> T) -> Result<T, Status> {
        let mut all = self.collections.lock().unwrap();
        all.get_mut(name).map(answer).ok_or_else(|| Status::not_found(format!("Collection `{name}` doesn't exist!")))
    }

    fn exists(&self, request: &CollectionExistsRequest) -> Result<CollectionExistsResponse, Status> {
        let exists = self.collections.lock().unwrap().contains_key(&request.collection_name);
        Ok(CollectionExistsResponse { result: Some(CollectionExists { exists }), time: 0.0 })
    }

    fn info(&self, request: &GetCollectionInfoRequest) -> Result<GetCollectionInfoResponse, Status> {
        self.of(&request.collection_name, |own| {
            let config = vectors_config::Config::Params(VectorParams { size: own.size, ..VectorParams::default() });
            let params = CollectionParams { vectors_config: Some(VectorsConfig { config: Some(config) }), ..CollectionParams::default() };
            let config = CollectionConfig { params: Some(params), ..CollectionConfig::default() };
            GetCollectionInfoResponse { result: Some(CollectionInfo { config: Some(config), ..CollectionInfo::default() }), time: 0.0 }
        })
    }

    fn create(&self, request: CreateCollection) -> Result<CollectionOperationResponse, Status> {
        let Some(vectors_config::Config::Params(params)) = request.vectors_config.and_then(|v| v.config) else {
            return Err(Status::invalid_argument("no vectors are configured"));
        };
        if params.distance != i32::from(Distance::Dot) {
            return Err(Status::invalid_argument("vectors would be changed"));
        }
        self.collections.lock().unwrap().insert(request.collection_name, Collection { size: params.size, ..Collection::default() });
        Ok(CollectionOperationResponse { result: true, time: 0.0 })
    }

    fn delete(&self, request: &DeleteCollection) -> Result<CollectionOperationResponse, Status> {
        let result = self.collections.lock().unwrap().remove(&request.collection_name).is_some();
        Ok(CollectionOperationResponse { result, time: 0.0 })
    }

    fn upsert(&self, request: UpsertPoints) -> Result<PointsOperationResponse, Status> {
        self.of(&request.collection_name, |own| {
            for point in request.points {
                let vector = match point.vectors.and_then(|v| v.vectors_options) {
                    Some(vectors::VectorsOptions::Vector(vector)) => match vector.vector {
                        Some(vector::Vector::Dense(dense)) => dense.data,
                        _ => return Err(Status::invalid_argument("not a dense vector")),
                    },
                    _ => return Err(Status::invalid_argument("not one vector")),
                };
                if vector.len() as u64 != own.size {
                    return Err(Status::invalid_argument(format!("expected dim: {}, got {}", own.size, vector.len())));
                }
                own.points.insert(uuid(point.id)?, (vector, point.payload));
            }
            Ok(PointsOperationResponse::default())
        })?
    }

    fn remove(&self, request: DeletePoints) -> Result<PointsOperationResponse, Status> {
        let Some(points_selector::PointsSelectorOneOf::Points(list)) = request.points.and_then(|p| p.points_selector_one_of) else {
            return Err(Status::invalid_argument("no ids"));
        };
        self.of(&request.collection_name, |own| {
            for id in list.ids {
                own.points.remove(&uuid(Some(id))?);
            }
            Ok(PointsOperationResponse::default())
        })?
    }

    fn scroll(&self, request: &ScrollPoints) -> Result<ScrollResponse, Status> {
        let from = request.offset.clone().map(|id| uuid(Some(id))).transpose()?.unwrap_or_default();
        // Pages are small here, so that a listing has several.
        let page = request.limit.unwrap_or(10).min(3) as usize;
        self.of(&request.collection_name, |own| {
            let mut found: Vec<_> = own.points.range(from..).filter(|(_, (_, payload))| passes(request.filter.as_ref(), payload)).collect();
            let next = found.get(page).map(|(id, _)| PointId::from((*id).clone()));
            found.truncate(page);
            let point = |(id, (_, payload)): (&String, &Kept)| RetrievedPoint {
                id: Some(PointId::from(id.clone())),
                payload: payload.clone(),
                ..RetrievedPoint::default()
            };
            ScrollResponse { next_page_offset: next, result: found.into_iter().map(point).collect(), ..ScrollResponse::default() }
        })
    }

    fn count(&self, request: &CountPoints) -> Result<CountResponse, Status> {
        self.of(&request.collection_name, |own| {
            let count = own.points.values().filter(|(_, payload)| passes(request.filter.as_ref(), payload)).count() as u64;
            CountResponse { result: Some(CountResult { count }), ..CountResponse::default() }
        })
    }

    fn query(&self, request: QueryPoints) -> Result<QueryResponse, Status> {
        if request.params.and_then(|p| p.exact) != Some(true) {
            return Err(Status::invalid_argument("an approximate search is not expected"));
        }
        let wanted = match request.query.and_then(|q| q.variant) {
            Some(query::Variant::Nearest(VectorInput { variant: Some(vector_input::Variant::Dense(dense)) })) => dense.data,
            _ => return Err(Status::invalid_argument("not the nearest of a vector")),
        };
        let limit = usize::try_from(request.limit.unwrap_or(10)).unwrap_or(usize::MAX);
        self.of(&request.collection_name, |own| {
            let kept = own.points.iter().filter(|(_, (_, payload))| passes(request.filter.as_ref(), payload));
            let mut found: Vec<ScoredPoint> = kept.map(|(id, (vector, payload))| scored(id, vector, payload, &wanted)).collect();
            found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| format!("{:?}", b.id).cmp(&format!("{:?}", a.id))));
            found.truncate(limit);
            QueryResponse { result: found, ..QueryResponse::default() }
        })
    }
}

/// Added up from the end, as another machine may.
fn scored(id: &str, vector: &[f32], payload: &HashMap<String, Value>, wanted: &[f32]) -> ScoredPoint {
    let output =
        VectorOutput { vector: Some(vector_output::Vector::Dense(DenseVector { data: vector.to_vec() })), ..VectorOutput::default() };
    ScoredPoint {
        id: Some(PointId::from(id.to_owned())),
        payload: payload.clone(),
        score: vector.iter().zip(wanted).rev().map(|(a, b)| a * b).sum(),
        vectors: Some(VectorsOutput { vectors_options: Some(vectors_output::VectorsOptions::Vector(output)) }),
        ..ScoredPoint::default()
    }
}

fn uuid(id: Option<PointId>) -> Result<String, Status> {
    match id.and_then(|id| id.point_id_options) {
        Some(point_id::PointIdOptions::Uuid(uuid)) => Ok(uuid),
        _ => Err(Status::invalid_argument("not a UUID")),
    }
}

/// Whether a point passes a filter of equal words and ranges of whole numbers.
fn passes(filter: Option<&Filter>, payload: &HashMap<String, Value>) -> bool {
    let is_met = |condition: &Condition| {
        let Some(condition::ConditionOneOf::Field(field)) = &condition.condition_one_of else { return false };
        let value = payload.get(&field.key).and_then(|v| v.kind.as_ref());
        let is_equal = field.r#match.as_ref().is_none_or(|m| match (&m.match_value, value) {
            (Some(r#match::MatchValue::Keyword(word)), Some(value::Kind::StringValue(own))) => word == own,
            (Some(r#match::MatchValue::Keywords(words)), Some(value::Kind::StringValue(own))) => words.strings.contains(own),
            _ => false,
        });
        let is_within = field.range.as_ref().is_none_or(|range| match value {
            Some(value::Kind::IntegerValue(n)) => range.lte.is_none_or(|most| *n as f64 <= most),
            _ => false,
        });
        is_equal && is_within
    };
    filter.is_none_or(|filter| filter.must.iter().all(is_met))
}

/// One call with one answer.
async fn unary<Q, A>(request: http::Request<Body>, answer: impl FnOnce(Q) -> Result<A, Status>) -> http::Response<Body>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + Default + 'static,
{
    let mut answer = Some(answer);
    let own = tower::service_fn(move |request: Request<Q>| {
        let answered = answer.take().map_or_else(|| Err(Status::internal("asked twice")), |answer| answer(request.into_inner()));
        std::future::ready(answered.map(Response::new))
    });
    Grpc::new(ProstCodec::<A, Q>::default()).unary(own, request).await
}
