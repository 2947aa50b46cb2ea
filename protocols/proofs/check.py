"""Stands in on this branch until branch `check` is merged; not for main."""


class Checker:
    def __init__(self, p):
        self.p = p

    def compare(self, index, octets):
        pass

    def check(self, label):
        self.p.claims.waiting.clear()
        self.p.claims.terms = 0
