"""One file a claim: each module prints one JSON object last and measures its own floor in the same run."""
