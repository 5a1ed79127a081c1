"""The nouns of ireko as frozen data: they start nothing, open nothing and know no event loop."""
