"""What three computing parties do without a dealer: each deals to the other two."""
