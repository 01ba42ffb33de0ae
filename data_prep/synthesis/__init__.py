"""Speech from text: voices, pronunciations, confusable phrases and synthetic corpora."""
