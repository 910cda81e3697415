"""Pure rules: a record is accepted, or refused with a reason."""
