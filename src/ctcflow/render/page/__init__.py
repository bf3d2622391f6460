"""The HTML page: templates, scripts and a style sheet, and the code that fills the templates."""
