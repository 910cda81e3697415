"""Built pages that the server sends to browsers."""
