"""What protocols among three parties without a dealer share: replicated shares, messages, local operations, inputs."""
