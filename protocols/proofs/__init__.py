"""What `verified` is made of: products whose messages are claimed, the check of all claims, and what uses them."""
