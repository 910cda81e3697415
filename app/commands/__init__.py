"""What `tickgraph COMMAND` does, one module each; app.cli puts them together."""
