"""Jobs: what a member's process does between the job file and its end; see mpc/README.md."""
