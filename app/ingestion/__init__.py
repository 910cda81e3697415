"""From bytes to records to batches: files today, more doors beside them."""
