"""The grammar of the phrasebook: kinds of sentences, each in English and in French."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

from phrasebook_words import (
    ADJECTIVES,
    DEGREES,
    DETERMINERS,
    NOUNS,
    NUMBERS,
    OBJECTS,
    OCCASIONS,
    PLACES,
    SUBJECTS,
    VERBS,
    WEATHER,
    Adjective,
    Noun,
    Unit,
    Verb,
)

VOWELS = "aeéêiîoôuhœ"
IS, ARE = Unit("is", "est"), Unit("are", "sont")


class Phrase(NamedTuple):
    """The same units in the order of each language."""

    en: tuple[Unit, ...]
    fr: tuple[Unit, ...]


def starts_with_vowel(word: str) -> bool:
    return word[0] in VOWELS


def elide(word: str, following: str) -> str:
    """je, me, ne, de, le, la, que before a vowel."""
    elides = word in ("je", "me", "ne", "de", "le", "la", "que")
    return word[:-1] + "'" if elides and starts_with_vowel(following) else word


def determine(name: str, gender: str, plural: bool, following: str) -> tuple[str, str]:
    """A determiner in English and in French, before a French word."""
    vowel = starts_with_vowel(following)
    if name == "this":
        singular = "cette" if gender == "f" else ("cet" if vowel else "ce")
        return ("these", "ces") if plural else ("this", singular)
    if name == "the":
        return "the", "les" if plural else elide("le" if gender == "m" else "la", following)
    if name == "your":
        return "your", "vos" if plural else "votre"
    feminine = gender == "f" and not vowel  # mon image
    return "my", "mes" if plural else ("ma" if feminine else "mon")


def inflect(adjective: Adjective, noun: Noun, plural: bool) -> str:
    if plural:
        return adjective.feminines if noun.gender == "f" else adjective.masculines
    return adjective.feminine if noun.gender == "f" else adjective.masculine


def noun_phrase(
    determiner: str, noun: Noun, plural: bool, adjective: Adjective | None = None
) -> Phrase:
    thing = Unit(noun.en_plural, noun.fr_plural) if plural else Unit(noun.en, noun.fr)
    en, fr = [thing], [thing]
    if adjective:
        form = inflect(adjective, noun, plural)
        special = adjective.masculine_vowel and noun.gender == "m" and not plural
        if adjective.is_before and special and starts_with_vowel(noun.fr):
            form = adjective.masculine_vowel
        quality = Unit(adjective.en, form)
        en.insert(0, quality)
        fr.insert(0 if adjective.is_before else 1, quality)
    first = Unit(*determine(determiner, noun.gender, plural, fr[0].fr))
    return Phrase((first, *en), (first, *fr))


class Pattern(NamedTuple):
    """A kind of sentence: a function, and what it can be made of."""

    make: Callable[..., Phrase]
    choices: tuple[list[Any], ...]

    def __len__(self) -> int:
        return math.prod(len(choice) for choice in self.choices)

    def sentence(self, number: int) -> Phrase:
        """One of them, by its number."""
        chosen = []
        for choice in self.choices:
            number, place = divmod(number, len(choice))
            chosen.append(choice[place])
        return self.make(*chosen)


def patterns() -> list[Pattern]:
    """Each kind of sentence, without its full stop."""
    plurals = (False, True)
    keys = list(product(DETERMINERS, NOUNS, plurals, [None, *ADJECTIVES]))
    phrases = [noun_phrase(*key) for key in keys]
    subjects = [(phrase, key[2]) for phrase, key in zip(phrases, keys, strict=True)]
    places = [noun_phrase(d, place, False) for d, place in product(("the", "my"), PLACES)]
    no = list(plurals)
    described_by = (list(DETERMINERS), NOUNS, list(plurals), ADJECTIVES)
    people = [noun for noun in NOUNS if noun.kind == "person"]
    things = [noun for noun in NOUNS if noun.kind in ("thing", "animal")]
    return [
        Pattern(weather, (WEATHER, DEGREES, OCCASIONS, no)),
        Pattern(asked_weather, (WEATHER, DEGREES, OCCASIONS)),
        Pattern(statement, (SUBJECTS, VERBS, phrases)),
        Pattern(denial, (SUBJECTS, VERBS, phrases)),
        Pattern(question, (SUBJECTS, VERBS, phrases)),
        Pattern(pronoun, (SUBJECTS, VERBS, OBJECTS, no)),
        Pattern(wish, (SUBJECTS, VERBS, phrases)),
        Pattern(described, described_by),
        Pattern(not_described, described_by),
        Pattern(asked, described_by),
        Pattern(located, (subjects, places)),
        Pattern(counted, (NUMBERS, NOUNS, places)),
        Pattern(order, (VERBS[2:], phrases)),
        Pattern(where, (subjects,)),
        Pattern(owned, (people, things, ADJECTIVES)),
    ]


def weather(
    kind: tuple[str, str], degree: tuple[str, str], occasion: tuple[str, str], no: bool
) -> Phrase:
    """The weather is fine: il fait beau."""
    subject, verb = Unit("the weather", "il"), Unit("is", "fait")
    rest = Unit(*degree), Unit(*kind), Unit(*occasion)
    ne, pas = Unit("not", "ne"), Unit("", "pas")
    if not no:
        return Phrase((subject, verb, *rest), (subject, verb, *rest))
    return Phrase((subject, verb, ne, *rest), (subject, ne, verb, pas, *rest))


def asked_weather(
    kind: tuple[str, str], degree: tuple[str, str], occasion: tuple[str, str]
) -> Phrase:
    """Is the weather fine? Est-ce qu'il fait beau ?"""
    subject, verb, ask = Unit("the weather", "il"), Unit("is", "fait"), Unit("", "est-ce qu'")
    rest = Unit(*degree), Unit(*kind), Unit(*occasion), Unit("?", "?")
    return Phrase((verb, subject, *rest), (ask, subject, verb, *rest))


def conjugate(subject: tuple, verb: Verb, is_third: bool | None = None) -> tuple[Unit, Unit]:
    en, fr, form, third = subject
    third = third if is_third is None else is_third
    return Unit(en, elide(fr, verb.fr[form])), Unit(
        verb.en_third if third else verb.en, verb.fr[form]
    )


def statement(subject: tuple, verb: Verb, thing: Phrase) -> Phrase:
    who, does = conjugate(subject, verb)
    return Phrase((who, does, *thing.en), (who, does, *thing.fr))


def denial(subject: tuple, verb: Verb, thing: Phrase) -> Phrase:
    _, does = conjugate(subject, verb, False)
    who = Unit(subject[0], subject[1])
    helper = Unit("does" if subject[3] else "do", "")
    negation = Unit("not", elide("ne", does.fr)), Unit("", "pas")
    return Phrase(
        (who, helper, negation[0], does, *thing.en),
        (who, negation[0], does, negation[1], *thing.fr),
    )


def question(subject: tuple, verb: Verb, thing: Phrase) -> Phrase:
    who, does = conjugate(subject, verb, False)
    that = "est-ce qu'" if starts_with_vowel(who.fr) else "est-ce que"
    ask = Unit("does" if subject[3] else "do", that)
    mark = Unit("?", "?")
    return Phrase((ask, who, does, *thing.en, mark), (ask, who, does, *thing.fr, mark))


def pronoun(subject: tuple, verb: Verb, thing: tuple[str, str], no: bool) -> Phrase:
    """I see him, je le vois; with the negation around both."""
    who, does = conjugate(subject, verb, False if no else None)
    whom = Unit(thing[0], elide(thing[1], does.fr))
    who = Unit(who.en, subject[1])
    if not no:
        return Phrase((who, does, whom), (who, whom, does))
    helper, negation = Unit("does" if subject[3] else "do", ""), Unit("not", "ne")
    return Phrase((who, helper, negation, does, whom), (who, negation, whom, does, Unit("", "pas")))


def wish(subject: tuple, verb: Verb, thing: Phrase) -> Phrase:
    """I want to see ..."""
    who, wants = conjugate(subject, VERBS[5])
    to = Unit("to " + verb.en, verb.infinitive)
    return Phrase((who, wants, to, *thing.en), (who, wants, to, *thing.fr))


def quality_of(determiner: str, noun: Noun, plural: bool, adjective: Adjective) -> tuple:
    """A noun phrase, the verb, and the adjective that is said of it."""
    quality = Unit(adjective.en, inflect(adjective, noun, plural))
    return noun_phrase(determiner, noun, plural), ARE if plural else IS, quality


def described(*key: Any) -> Phrase:
    thing, be, quality = quality_of(*key)
    return Phrase((*thing.en, be, quality), (*thing.fr, be, quality))


def not_described(*key: Any) -> Phrase:
    thing, be, quality = quality_of(*key)
    no, pas = Unit("not", elide("ne", be.fr)), Unit("", "pas")
    return Phrase((*thing.en, be, no, quality), (*thing.fr, no, be, pas, quality))


def asked(*key: Any) -> Phrase:
    thing, be, quality = quality_of(*key)
    ask, mark = Unit("", "est-ce que"), Unit("?", "?")
    return Phrase((be, *thing.en, quality, mark), (ask, *thing.fr, be, quality, mark))


def located(subject: tuple[Phrase, bool], place: Phrase) -> Phrase:
    thing, plural = subject
    be, within = ARE if plural else IS, Unit("in", "dans")
    return Phrase((*thing.en, be, within, *place.en), (*thing.fr, be, within, *place.fr))


def counted(number: tuple[str, str], noun: Noun, place: Phrase) -> Phrase:
    there = Unit("there are", "il y a")
    units = (there, Unit(*number), Unit(noun.en_plural, noun.fr_plural), Unit("in", "dans"))
    return Phrase((*units, *place.en), (*units, *place.fr))


def order(verb: Verb, thing: Phrase) -> Phrase:
    do, mark = Unit(verb.en, verb.fr[3]), Unit("!", "!")
    return Phrase((do, *thing.en, mark), (do, *thing.fr, mark))


def where(subject: tuple[Phrase, bool]) -> Phrase:
    thing, plural = subject
    units = Unit("where", "où"), ARE if plural else IS
    mark = Unit("?", "?")
    return Phrase((*units, *thing.en, mark), (*units, *thing.fr, mark))


def owned(person: Noun, noun: Noun, adjective: Adjective) -> Phrase:
    """My sister's car is red: la voiture de ma sœur est rouge."""
    owner, of = noun_phrase("my", person, False), Unit("'s", "de")
    the, _ = noun_phrase("the", noun, False).fr
    thing, quality = Unit(noun.en, noun.fr), Unit(adjective.en, inflect(adjective, noun, False))
    return Phrase(
        (*owner.en, of, thing, IS, quality),
        (Unit("", the.fr), thing, of, *owner.fr, IS, quality),
    )
