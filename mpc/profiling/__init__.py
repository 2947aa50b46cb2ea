"""Where bytes, rounds and seconds of a run go: by module, part of a step, operation and protocol step."""
