"""Recognisers such as a user may have, for tests/pii/test_own_recognizers.py."""

from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult


class Badges(PatternRecognizer):
    """Has expressions, which the prefilter reads."""

    def __init__(self):
        super().__init__(
            supported_entity="BADGE",
            patterns=[Pattern("badge", r"\bBDG-\d{4}\b", 0.8)],
        )


class Animals(EntityRecognizer):
    """Reads whole documents, and has two entities."""

    def __init__(self):
        super().__init__(supported_entities=["BIRD", "FISH"])

    def load(self):
        """Nothing to load."""

    def analyze(self, text, entities, nlp_artifacts):
        if "unicorn" in text:
            raise RuntimeError(text)
        words = {"heron": "BIRD", "trout": "FISH", "whale": "MAMMAL"}
        return [
            RecognizerResult(entity, text.index(word), text.index(word) + len(word), 0.9)
            for word, entity in words.items()
            if word in text
        ]


class Nothing(EntityRecognizer):
    """Names no entity."""

    def __init__(self):
        super().__init__(supported_entities=[])

    def load(self):
        """Nothing to load."""

    def analyze(self, text, entities, nlp_artifacts):
        return []


class Needy(Badges):
    def __init__(self, file):
        super().__init__()
        self.file = file


BADGES = Badges()
NUMBER = 7
