"""What has just changed, brought to whoever subscribed to it: once, in order, resumable."""
