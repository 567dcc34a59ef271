"""The receiving centre: intake, log, desk, feed, coverage, and the API before them."""
