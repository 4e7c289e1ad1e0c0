"""What a request wants: the analysis of a prompt and its images, by rules or by a language model; it stores and runs nothing."""
