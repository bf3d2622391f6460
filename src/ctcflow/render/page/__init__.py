"""The page as files: templates, scripts and a style sheet, and the little that fills them."""
