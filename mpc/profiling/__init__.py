"""Where bytes, rounds and seconds of a run go: by module, part of a step, operation and protocol step."""

FOLDER = "JOINTFIT_PROFILE"
"""Names the folder where every session of a process writes its profile when it ends, as rank-R.json."""
