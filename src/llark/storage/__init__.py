"""The only place that writes: folders on any fsspec URL, stage folders, embeddings."""
