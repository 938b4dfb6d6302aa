"""Tables in: reading, checking, distinct texts, and a split that does not leak."""
