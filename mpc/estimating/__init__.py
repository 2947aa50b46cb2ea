"""What a program will cost before it runs: bytes and rounds exactly, seconds from measured work and a network."""
