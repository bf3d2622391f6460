"""Tables, figures and the HTML page, made only from the finished results of steps."""
