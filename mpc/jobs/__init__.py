"""Jobs: what a member's process does between the job file and its end; see mpc/README.md."""

JOB = "JOINTFIT_JOB"
"""The variable that says that this process is a member of a job; `membership` has all of them."""

REPORT = "JOINTFIT_REPORT"
"""Names the file (of one rank) or folder (of several) in which ``--report`` wants pages about the run."""

DEALER = "dealer"
"""The dealer's name in jobs that `jointfit init` writes."""
