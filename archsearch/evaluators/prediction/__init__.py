"""What is predicted of an image: a class, a set of labels, or numbers. Read `task.py` first."""
