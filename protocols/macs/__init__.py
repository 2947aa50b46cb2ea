"""What `authenticated` is made of: wide words, authenticated parts, their dealing, openings and checks."""
