"""The one way in which anything here gives up: a sentence for the reader, and what to do."""


class Problem(Exception):
    pass
