//! A text-embedding model behind an address: `POST /v1/embeddings`, as OpenAI, vLLM, Ollama, LiteLLM and text-embeddings-inference speak it.
//!
//! Texts that leave this way were redacted when they came in. Redirects are not followed, so that the token reaches nobody else.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_model::time::Span;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::prometheus::shown;

/// Texts in one request.
const BATCH: usize = 64;
/// Bytes of a text that are sent; what comes after is cut off, as models read a few hundred words.
const MAX_BYTES: usize = 16 * 1024;
/// How often a request is sent that meets a busy or failing server.
const ATTEMPTS: u32 = 4;
/// Longest wait between two attempts, also where the server asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Bytes of an error's text that are told.
const WORDS: usize = 300;

/// Where the model is, and what it makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSettings {
    /// Its address, such as `https://api.openai.com/v1` or `http://localhost:11434`; `/v1/embeddings` is added where it is missing.
    pub url: Url,
    /// The model's name, as the server knows it.
    pub model: String,
    /// How many numbers its vectors have.
    pub dimensions: usize,
    /// File that holds the token, which is sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Longest wait for one answer. Default 30s.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

fn default_timeout() -> Span {
    Span::from_secs(30)
}

/// No vectors from the endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No connection, or no answer in time, after several attempts.
    #[error("the embeddings endpoint {url} did not answer")]
    Unreachable {
        /// The address, without credentials.
        url: String,
        /// What the network said.
        source: reqwest::Error,
    },
    /// It answered with something else than success.
    #[error("the embeddings endpoint {url} answered {status}: {message}")]
    Refused {
        /// The address, without credentials.
        url: String,
        /// HTTP status.
        status: u16,
        /// Its words, at most 300 characters.
        message: String,
    },
    /// Its answer is not a list of vectors, one for each text.
    #[error("the embeddings endpoint {url} gave no vectors: {reason}")]
    Unusable {
        /// The address, without credentials.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// Its vectors are not those of the configuration.
    #[error("the model {model} gives vectors of {found} dimensions, and the configuration says {expected}")]
    Dimensions {
        /// The model.
        model: String,
        /// What is configured.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// The token cannot be read.
    #[error("the token file {} cannot be read", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No client can be made: there is no TLS provider.
    #[error("no client for the embeddings endpoint can be made")]
    Client(#[source] reqwest::Error),
}

impl EndpointError {
    /// What would be right, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Dimensions { found, .. } => Some(format!("set `embeddings.endpoint.dimensions: {found}`")),
            Self::Refused { status: 401 | 403, .. } => Some("set `embeddings.endpoint.token_file` to a file with a valid token".into()),
            Self::Refused { status: 404, .. } => Some("check `embeddings.endpoint.url` and `model`".into()),
            _ => None,
        }
    }
}

/// The model behind the address. Cheap to clone; connects to nothing before it is used.
#[derive(Clone, Debug)]
pub struct Endpoint {
    settings: EndpointSettings,
    url: Url,
    http: reqwest::Client,
}

#[derive(Serialize)]
struct Question<'a> {
    model: &'a str,
    input: &'a [&'a str],
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// What became of one request.
enum Tried {
    Answered(Answer),
    /// It may go better later, after this pause where the server names one.
    Again(EndpointError, Option<Duration>),
}

impl Endpoint {
    /// A client for this endpoint.
    pub fn new(settings: EndpointSettings) -> Result<Self, EndpointError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.timeout.to_std())
            .build()
            .map_err(EndpointError::Client)?;
        let mut url = settings.url.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&match path {
            path if path.ends_with("/embeddings") => path,
            path if path.ends_with("/v1") => format!("{path}/embeddings"),
            path => format!("{path}/v1/embeddings"),
        });
        Ok(Self { settings, url, http })
    }

    /// `text-embedding-3-small-1536`: the model's name and the dimensions. That a server changes a model behind its name cannot be seen.
    pub fn id(&self) -> String {
        format!("{}-{}", self.settings.model, self.settings.dimensions)
    }

    /// How many numbers a vector has.
    pub fn dimensions(&self) -> usize {
        self.settings.dimensions
    }

    /// One vector for each text, of length 1; all zeros for a text without a letter or digit, which is not sent.
    ///
    /// Answers 429 and 5xx, and no answer, are tried again up to three times, after the pause that the server asks for or after 1/4, 1/2
    /// and 1 second.
    pub async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EndpointError> {
        let told: Vec<usize> = (0..texts.len()).filter(|i| texts[*i].contains(char::is_alphanumeric)).collect();
        let mut vectors = vec![vec![0.0; self.settings.dimensions]; texts.len()];
        for batch in told.chunks(BATCH) {
            let input: Vec<&str> = batch.iter().map(|i| &texts[*i][..texts[*i].floor_char_boundary(MAX_BYTES)]).collect();
            for (i, vector) in batch.iter().zip(self.ask(&input).await?) {
                vectors[*i] = vector;
            }
        }
        Ok(vectors)
    }

    async fn ask(&self, input: &[&str]) -> Result<Vec<Vec<f32>>, EndpointError> {
        let mut attempt = 1;
        loop {
            match self.send(input).await? {
                Tried::Answered(answer) => return self.vectors(answer, input.len()),
                Tried::Again(error, _) if attempt == ATTEMPTS => return Err(error),
                Tried::Again(_, pause) => {
                    let own = Duration::from_millis(125 << attempt);
                    tokio::time::sleep(pause.unwrap_or(own).min(LONGEST_PAUSE)).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn send(&self, input: &[&str]) -> Result<Tried, EndpointError> {
        let question = Question { model: &self.settings.model, input, encoding_format: "float" };
        let mut request = self.http.post(self.url.clone()).json(&question);
        if let Some(path) = &self.settings.token_file {
            let token = tokio::fs::read_to_string(path).await.map_err(|source| EndpointError::Token { path: path.clone(), source })?;
            request = request.bearer_auth(token.trim());
        }
        let unreachable = |e: reqwest::Error| EndpointError::Unreachable { url: shown(&self.url), source: e.without_url() };
        let response = match request.send().await {
            Ok(response) => response,
            Err(e) => return Ok(Tried::Again(unreachable(e), None)),
        };
        let status = response.status();
        if status.is_success() {
            let text = match response.text().await {
                Ok(text) => text,
                Err(e) => return Ok(Tried::Again(unreachable(e), None)),
            };
            return serde_json::from_str(&text).map(Tried::Answered).map_err(|e| self.unusable(format!("its answer is not one: {e}")));
        }
        let pause = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
        let message = response.text().await.unwrap_or_default().chars().take(WORDS).collect::<String>();
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let refused = EndpointError::Refused { url: shown(&self.url), status: status.as_u16(), message };
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() { Ok(Tried::Again(refused, pause)) } else { Err(refused) }
    }

    /// The vectors of an answer in the order of the texts, each made to be of length 1.
    fn vectors(&self, answer: Answer, texts: usize) -> Result<Vec<Vec<f32>>, EndpointError> {
        let mut vectors = vec![Vec::new(); texts];
        for (place, item) in answer.data.into_iter().enumerate() {
            let place = item.index.unwrap_or(place);
            let slot = vectors
                .get_mut(place)
                .ok_or_else(|| self.unusable(format!("it numbers a vector {place}, and there were {texts} texts")))?;
            *slot = self.unit(item.embedding)?;
        }
        match vectors.iter().position(Vec::is_empty) {
            Some(place) => Err(self.unusable(format!("text {place} of {texts} has no vector"))),
            None => Ok(vectors),
        }
    }

    fn unit(&self, vector: Vec<f32>) -> Result<Vec<f32>, EndpointError> {
        let (expected, found) = (self.settings.dimensions, vector.len());
        if expected != found {
            return Err(EndpointError::Dimensions { model: self.settings.model.clone(), expected, found });
        }
        let norm = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Err(self.unusable("a vector holds a number that is not finite".into()));
        }
        if norm <= 0.0 {
            return Err(self.unusable("a vector is all zeros, which resembles nothing".into()));
        }
        Ok(vector.into_iter().map(|v| (f64::from(v) / norm) as f32).collect())
    }

    fn unusable(&self, reason: String) -> EndpointError {
        EndpointError::Unusable { url: shown(&self.url), reason }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::{Value, json};

    use super::*;
    use crate::test_server::{nowhere, serve};

    /// Requests so far: the token, and how many texts.
    type Log = Arc<Mutex<Vec<(String, usize)>>>;

    /// Answers with vectors in reverse order; the first requests with these statuses.
    async fn model(statuses: &[u16], dimensions: usize) -> (Url, Log) {
        let (log, left) = (Log::default(), Arc::new(Mutex::new(statuses.to_vec())));
        let answer = move |State(log): State<Log>, headers: HeaderMap, Json(body): Json<Value>| {
            let left = left.clone();
            async move {
                let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
                let token = headers.get("authorization").map_or("", |v| v.to_str().unwrap()).to_owned();
                log.lock().unwrap().push((token, texts.len()));
                let status = if left.lock().unwrap().is_empty() { 200 } else { left.lock().unwrap().remove(0) };
                let data: Vec<Value> = texts.iter().enumerate().rev().map(|(i, text)| vector(i, text, dimensions)).collect();
                let body = if status == 200 { json!({"data": data, "model": body["model"]}) } else { json!({"error": "busy, come back"}) };
                (StatusCode::from_u16(status).unwrap(), [("retry-after", "0")], Json(body))
            }
        };
        let url = serve(Router::new().route("/v1/embeddings", post(answer)).with_state(log.clone())).await;
        (url, log)
    }

    fn vector(index: usize, text: &str, dimensions: usize) -> Value {
        let mut numbers = vec![0.0; dimensions];
        numbers[text.len() % dimensions] = 2.0;
        json!({"object": "embedding", "index": index, "embedding": numbers})
    }

    fn endpoint(url: Url) -> Endpoint {
        let settings = EndpointSettings { url, model: "tiny".into(), dimensions: 4, token_file: None, timeout: Span::from_secs(5) };
        Endpoint::new(settings).unwrap()
    }

    #[tokio::test]
    async fn each_text_gets_its_vector_in_batches() {
        let (url, log) = model(&[], 4).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "s3cret\n").unwrap();
        let own = endpoint(url.clone());
        let own = Endpoint::new(EndpointSettings { token_file: Some(file), ..own.settings }).unwrap();
        let texts: Vec<String> = (0..70).map(|i| "x".repeat(i)).collect();
        let vectors = own.embed(&texts.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(vectors[0], [0.0; 4], "an empty text is not sent");
        for (i, vector) in vectors.iter().enumerate().skip(1) {
            assert_eq!(vector[i % 4], 1.0, "{i}");
        }
        assert_eq!(*log.lock().unwrap(), [("Bearer s3cret".to_owned(), 64), ("Bearer s3cret".to_owned(), 5)]);
        assert_eq!((own.id().as_str(), own.dimensions()), ("tiny-4", 4));
        for path in ["v1", "v1/", "v1/embeddings"] {
            assert_eq!(endpoint(url.join(path).unwrap()).url.path(), "/v1/embeddings");
        }
    }

    #[tokio::test]
    async fn what_is_busy_is_asked_again_and_what_refuses_is_not() {
        let (url, log) = model(&[429, 503, 500], 4).await;
        assert_eq!(endpoint(url).embed(&["a"]).await.unwrap().len(), 1);
        assert_eq!(log.lock().unwrap().len(), 4);
        let (url, log) = model(&[500; 9], 4).await;
        let error = endpoint(url.clone()).embed(&["a"]).await.unwrap_err().to_string();
        assert_eq!(error, format!("the embeddings endpoint {url}v1/embeddings answered 500: {{\"error\":\"busy, come back\"}}"));
        assert_eq!(log.lock().unwrap().len(), 4);
        let (url, log) = model(&[401], 4).await;
        let error = endpoint(url).embed(&["a"]).await.unwrap_err();
        assert!(error.hint().unwrap().contains("token_file") && log.lock().unwrap().len() == 1);
        let error = endpoint(nowhere().await).embed(&["a"]).await.unwrap_err();
        assert!(matches!(error, EndpointError::Unreachable { .. }), "{error}");
    }

    #[tokio::test]
    async fn vectors_of_another_length_and_other_answers_are_refused() {
        let (url, _) = model(&[], 3).await;
        let error = endpoint(url).embed(&["a"]).await.unwrap_err();
        assert_eq!(error.to_string(), "the model tiny gives vectors of 3 dimensions, and the configuration says 4");
        assert_eq!(error.hint().unwrap(), "set `embeddings.endpoint.dimensions: 3`");
        for (body, reason) in [
            (json!({"data": []}), "text 0 of 1 has no vector"),
            (json!({"data": [{"index": 7, "embedding": [1.0, 0.0, 0.0, 0.0]}]}), "numbers a vector 7"),
            (json!({"data": [{"embedding": [1e39, 0.0, 0.0, 0.0]}]}), "number out of range"),
            (json!({"vectors": []}), "its answer is not one"),
        ] {
            let url = serve(Router::new().route("/v1/embeddings", post(move || async move { Json(body) }))).await;
            let error = endpoint(url).embed(&["a"]).await.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
