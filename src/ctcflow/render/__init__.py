"""Tables, figures and the page, from finished objects only."""
