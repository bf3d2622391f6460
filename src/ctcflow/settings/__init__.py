"""What users set: parameters, the configuration, the sample sheet, and words for their mistakes."""
