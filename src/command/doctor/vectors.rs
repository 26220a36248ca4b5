//! What turns texts into vectors, and Qdrant.

use bellwether_pipelines::vectors::Embedding;

use super::{Item, words};
use crate::config::Config;
use crate::failure::chain;
use crate::open;

/// The embedder by a word, and Qdrant where one is configured.
pub async fn items(config: &Config) -> Vec<Item> {
    let opened = open::vectors::embedding(config);
    let mut items = Vec::new();
    if let Some(settings) = &config.embeddings.qdrant {
        let found = match &opened {
            Ok(embedding) => qdrant(config, embedding).await.map(|held| format!("Qdrant at {} {held}", settings.url)),
            Err(_) => Err("the embedder is missing".into()),
        };
        items.push(Item::optional(
            "embeddings.qdrant",
            "server",
            found.map_err(|why| format!("{why}; the index in memory answers instead")),
        ));
    }
    let found = match opened {
        Ok(embedding) => embedding
            .embed(&["latency above 400 ms"])
            .await
            .map(|_| told(&embedding))
            .map_err(|e| words(&open::vectors::vector_failure(&e))),
        Err(failure) => Err(words(&failure)),
    };
    items.insert(0, Item::needed("embeddings", "rules", "round, recommend", found));
    items
}

fn told(embedding: &Embedding) -> String {
    format!("{} makes vectors of {} numbers", embedding.id(), embedding.dimensions())
}

async fn qdrant(config: &Config, embedding: &Embedding) -> Result<String, String> {
    let Some(qdrant) = open::vectors::qdrant(config, embedding).map_err(|e| words(&e))? else { return Ok(String::new()) };
    let version = qdrant.version().await.map_err(|e| chain(&e))?;
    let count = qdrant.count().await.map_err(|e| format!("{}; `bellwether embeddings sync` makes the collection", chain(&e)))?;
    Ok(format!("is version {version} and has {count} vectors of {}", embedding.id()))
}
