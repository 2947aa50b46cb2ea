"""What `replicated` is made of: groups in which one of three parties deals to the other two."""
