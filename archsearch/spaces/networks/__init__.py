"""The trainable network of each built-in space, one a file."""
